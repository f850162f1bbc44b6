//! Inflates a body with `content-encoding: gzip` (RFC 1952; deflate is RFC 1951).
//!
//! The crate `miniz_oxide` inflates; the frame around it is small enough to be read here, where
//! its bound and its checks are seen.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::DecompressorOxide;
use miniz_oxide::inflate::core::decompress;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;

use crate::limits;

/// Why a body could not be inflated. None of it can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GzipError {
    /// It inflates to more bytes than the limit, or has more members than
    /// `limits::GZIP_MEMBERS_MAX`.
    TooLarge,
    /// It ends before the end of a member: the rest did not arrive.
    CutOff,
    /// It is not gzip, or not what was compressed.
    Damaged,
}

/// The content of all members of `body`, at most `limit` bytes, one behind the other. The
/// CRC-32 and the length of each are checked, and nothing may follow the last one.
///
/// The limit holds while inflating: no more than that, one byte and some kilobytes are ever
/// allocated, whatever the body says of its length.
pub(crate) fn inflate(body: &[u8], limit: usize) -> Result<Vec<u8>, GzipError> {
    let mut output = Output::of(body, limit);
    let (crc, mut inflater) = (Crc::new(), Box::<DecompressorOxide>::default());
    let mut input = Input(body);
    for _ in 0..limits::GZIP_MEMBERS_MAX {
        header(&mut input, &crc)?;
        let begin = output.length;
        output.append(&mut input, &mut inflater)?;
        let content = output.from(begin);
        let checksum = u32::from_le_bytes(input.chunk()?);
        let length = u32::from_le_bytes(input.chunk()?);
        // The length is that of the content modulo 2 to the power of 32.
        let is_long = content.len() as u64 & 0xffff_ffff == u64::from(length);
        if !is_long || crc.of(content) != checksum {
            return Err(GzipError::Damaged);
        }
        if input.0.is_empty() {
            return Ok(output.whole());
        }
    }
    Err(GzipError::TooLarge)
}

/// The first bytes of a member: two that mean gzip, and deflate as its method.
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

// Flags of a member's header.
const HAS_CHECKSUM: u8 = 2;
const HAS_EXTRA: u8 = 4;
const HAS_NAME: u8 = 8;
const HAS_COMMENT: u8 = 16;
const RESERVED: u8 = 0b1110_0000;

/// Takes a member's header. Its time, name, comment and so on are not looked at.
fn header(input: &mut Input<'_>, crc: &Crc) -> Result<(), GzipError> {
    let all = input.0;
    if !input.0.iter().zip(MAGIC).all(|(found, expected)| *found == expected) {
        return Err(GzipError::Damaged);
    }
    let [_, _, _, flags, ..] = input.chunk::<10>()?;
    if flags & RESERVED != 0 {
        return Err(GzipError::Damaged);
    }
    if flags & HAS_EXTRA != 0 {
        let length = u16::from_le_bytes(input.chunk()?);
        input.take(length.into())?;
    }
    for flag in [HAS_NAME, HAS_COMMENT] {
        if flags & flag != 0 {
            let length = input.0.iter().position(|byte| *byte == 0).ok_or(GzipError::CutOff)?;
            input.take(length + 1)?;
        }
    }
    if flags & HAS_CHECKSUM != 0 {
        let length = all.len() - input.0.len();
        let [low, high, ..] = crc.of(all.get(..length).unwrap_or_default()).to_le_bytes();
        if input.chunk()? != [low, high] {
            return Err(GzipError::Damaged);
        }
    }
    Ok(())
}

/// The bytes that are left.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], GzipError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(GzipError::CutOff)?;
        self.0 = rest;
        Ok(taken)
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], GzipError> {
        let (chunk, rest) = self.0.split_first_chunk::<N>().ok_or(GzipError::CutOff)?;
        self.0 = rest;
        Ok(*chunk)
    }
}

/// What was inflated, in a buffer that may be longer.
struct Output {
    buffer: Vec<u8>,
    length: usize,
    limit: usize,
}

impl Output {
    /// The most bytes that one of deflate can become.
    const RATIO_MAX: usize = 1_032;

    /// A buffer as long as the last member says that it is, if it can be: then nothing has to
    /// be moved.
    fn of(body: &[u8], limit: usize) -> Self {
        let said = body.last_chunk::<4>().map_or(0, |length| u32::from_le_bytes(*length));
        let said = usize::try_from(said).unwrap_or(limit);
        let length = said.min(limit).min(body.len().saturating_mul(Self::RATIO_MAX));
        Self { buffer: vec![0; length], length: 0, limit }
    }

    /// Inflates a member behind what there is. A member can't refer to one before it.
    fn append(
        &mut self,
        input: &mut Input<'_>,
        inflater: &mut DecompressorOxide,
    ) -> Result<(), GzipError> {
        let begin = self.length;
        inflater.init();
        loop {
            let of_member = self.buffer.get_mut(begin..).unwrap_or_default();
            let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
            let (status, consumed, written) =
                decompress(inflater, input.0, of_member, self.length - begin, flags);
            self.length += written;
            input.take(consumed)?;
            match status {
                TINFLStatus::Done if self.length <= self.limit => return Ok(()),
                TINFLStatus::Done => return Err(GzipError::TooLarge),
                TINFLStatus::HasMoreOutput => self.grow()?,
                TINFLStatus::FailedCannotMakeProgress | TINFLStatus::NeedsMoreInput => {
                    return Err(GzipError::CutOff);
                }
                _ => return Err(GzipError::Damaged),
            }
        }
    }

    /// Makes room for more. One byte beyond the limit tells that there is too much.
    fn grow(&mut self) -> Result<(), GzipError> {
        const BYTES_MIN: usize = 4_096;
        let (length, most) = (self.buffer.len(), self.limit.saturating_add(1));
        if length >= most {
            return Err(GzipError::TooLarge);
        }
        let grown = length.saturating_mul(2).max(BYTES_MIN).min(most);
        self.buffer.reserve_exact(grown - length);
        self.buffer.resize(grown, 0);
        Ok(())
    }

    fn from(&self, begin: usize) -> &[u8] {
        self.buffer.get(begin..self.length).unwrap_or_default()
    }

    fn whole(self) -> Vec<u8> {
        let mut buffer = self.buffer;
        buffer.truncate(self.length);
        buffer
    }
}

/// CRC-32 as gzip has it (RFC 1952, section 8): a byte at a time, by a table.
struct Crc([u32; 256]);

impl Crc {
    /// The table takes two thousand steps, and no room in a component.
    fn new() -> Self {
        let after_bit = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        let mut byte = 0;
        Self(std::array::from_fn(|_| {
            let crc = (0..8).fold(byte, |crc, _| after_bit(crc));
            byte += 1;
            crc
        }))
    }

    fn of(&self, bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0_u32, |crc, byte| {
            let [low, ..] = crc.to_le_bytes();
            let entry = self.0.get(usize::from(low ^ byte)).copied().unwrap_or_default();
            entry ^ crc >> 8
        })
    }
}

#[cfg(test)]
mod tests {
    use miniz_oxide::deflate::compress_to_vec;
    use proptest::prelude::*;

    use super::*;

    /// A member with these flags, and what belongs to them.
    fn member_with(flags: u8, fields: &[u8], content: &[u8]) -> Vec<u8> {
        let header = [&[0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255], fields].concat();
        let checksum = Crc::new().of(&header).to_le_bytes();
        let of_header = if flags & HAS_CHECKSUM != 0 { &checksum[..2] } else { &[] };
        let crc = Crc::new().of(content).to_le_bytes();
        let length = u32::try_from(content.len()).unwrap().to_le_bytes();
        [&header, of_header, &compress_to_vec(content, 6), &crc, &length].concat()
    }

    fn member(content: &[u8]) -> Vec<u8> {
        member_with(0, &[], content)
    }

    /// `{"device_id":"d1"}` in a file `a.j`, as gzip 1.12 compresses it.
    const OF_GZIP: [u8; 42] = [
        0x1f, 0x8b, 0x08, 0x08, 0xd5, 0xad, 0x08, 0x6b, 0x02, 0x03, 0x61, 0x2e, 0x6a, 0x00, 0xab,
        0x56, 0x4a, 0x49, 0x2d, 0xcb, 0x4c, 0x4e, 0x8d, 0xcf, 0x4c, 0x51, 0xb2, 0x52, 0x4a, 0x31,
        0x54, 0xaa, 0x05, 0x00, 0xca, 0x8c, 0x21, 0x62, 0x12, 0x00, 0x00, 0x00,
    ];

    #[test]
    fn the_checksum_is_that_of_gzip() {
        assert_eq!(Crc::new().of(b"123456789"), 0xcbf4_3926);
        assert_eq!(Crc::new().of(b""), 0);
    }

    #[test]
    fn what_gzip_writes_is_inflated() {
        assert_eq!(inflate(&OF_GZIP, 100).as_deref(), Ok(&b"{\"device_id\":\"d1\"}"[..]));
    }

    #[test]
    fn a_header_may_have_every_field() {
        for (flags, fields) in [
            (0, &b""[..]),
            (1, b""),
            (HAS_CHECKSUM, b""),
            (HAS_EXTRA, b"\x03\0abc"),
            (HAS_NAME, b"a name\0"),
            (HAS_COMMENT, b"\0"),
            (HAS_CHECKSUM | HAS_EXTRA | HAS_NAME | HAS_COMMENT, b"\0\0name\0comment\0"),
        ] {
            let body = member_with(flags, fields, b"content");
            assert_eq!(inflate(&body, 7).as_deref(), Ok(&b"content"[..]), "{flags}");
        }
        for flag in [32, 64, 128] {
            assert_eq!(inflate(&member_with(flag, &[], b"a"), 7), Err(GzipError::Damaged));
        }
        let mut body = member_with(HAS_CHECKSUM, &[], b"content");
        body[4] ^= 1;
        assert_eq!(inflate(&body, 7), Err(GzipError::Damaged));
    }

    #[test]
    fn members_follow_each_other_and_nothing_else_does() {
        let body = [member(b"one "), member(b""), member_with(HAS_NAME, b"n\0", b"two")].concat();
        assert_eq!(inflate(&body, 7).as_deref(), Ok(&b"one two"[..]));
        assert_eq!(inflate(&body, 6), Err(GzipError::TooLarge));
        for (behind, error) in [
            (&b"\0"[..], GzipError::Damaged),
            (b"\n", GzipError::Damaged),
            (b"\x1f", GzipError::CutOff),
            (b"\x1f\x8b", GzipError::CutOff),
            (b"\x1f\x8c", GzipError::Damaged),
            (b"\x1f\x8b\x07", GzipError::Damaged),
            (b"\x1f\x8b\x08", GzipError::CutOff),
        ] {
            assert_eq!(inflate(&[&body, behind].concat(), 100), Err(error), "{behind:?}");
        }
        let many = |count: usize| member(b"a").repeat(count);
        let most = limits::GZIP_MEMBERS_MAX;
        assert_eq!(inflate(&many(most), 10_000).unwrap().len(), most);
        assert_eq!(inflate(&many(most + 1), 10_000), Err(GzipError::TooLarge));
    }

    #[test]
    fn a_member_can_not_copy_from_before_its_begin() {
        // Three bytes from one byte back (fixed codes; RFC 1951, 3.2.6).
        let copy = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 0x03, 0x02, 0], &[0; 8][..]].concat();
        assert_eq!(inflate(&copy, 100), Err(GzipError::Damaged));
        assert_eq!(inflate(&[member(b"aaaa"), copy].concat(), 100), Err(GzipError::Damaged));
    }

    #[test]
    fn the_limit_holds_while_inflating() {
        let content = vec![b' '; 1 << 20];
        let mut body = member(&content);
        assert_eq!(inflate(&body, content.len()).unwrap(), content);
        assert_eq!(inflate(&body, content.len() - 1), Err(GzipError::TooLarge));
        assert_eq!(inflate(&body, 0), Err(GzipError::TooLarge));
        // What it says of its length is no reason to allocate, or not to.
        let end = body.len() - 4;
        for said in [0, 1, u32::MAX] {
            body[end..].copy_from_slice(&said.to_le_bytes());
            assert_eq!(inflate(&body, 1_000), Err(GzipError::TooLarge), "{said}");
            assert_eq!(inflate(&body, 2 << 20), Err(GzipError::Damaged), "{said}");
            assert!(Output::of(&body, 100).buffer.len() <= 100);
            assert!(Output::of(&body[end - 12..], 1 << 30).buffer.len() <= 16 * 1_032);
        }
        let mut output = Output { buffer: Vec::new(), length: 0, limit: 10_000 };
        while output.grow().is_ok() {
            assert!(output.buffer.capacity() <= 10_001);
        }
        assert_eq!(output.buffer.len(), 10_001);
        assert_eq!(inflate(&member(b""), 0), Ok(Vec::new()));
    }

    #[test]
    fn wherever_a_body_is_cut_it_is_cut_off() {
        let fields = b"\x02\0abname\0comment\0";
        let flags = HAS_CHECKSUM | HAS_EXTRA | HAS_NAME | HAS_COMMENT;
        let first = member_with(flags, fields, b"some content, some content");
        let body = [first.clone(), member(b"more")].concat();
        for length in 0..body.len() {
            let found = inflate(&body[..length], 100);
            // Behind the first member it is whole, and a sender says how long it is.
            let is_whole = length == first.len();
            assert_eq!(found.err(), (!is_whole).then_some(GzipError::CutOff), "{length}");
        }
    }

    #[test]
    fn no_flipped_bit_gives_other_content() {
        let content = b"{\"device_id\":\"d1\",\"region\":\"hall\",\"temperature_c\":21.5}";
        let long: Vec<u8> = (0..3_000_u32).flat_map(|n| (n * n).to_le_bytes()).collect();
        for content in [&content[..], &long] {
            let body = member_with(HAS_NAME, b"name\0", content);
            let step = (body.len() / 500).max(1);
            for bit in (0..body.len() * 8).step_by(step) {
                let mut damaged = body.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                // The time, the name and so on are not checked, and mean nothing here.
                let found = inflate(&damaged, 1 << 20);
                assert!(found.is_err() || found.is_ok_and(|found| found == content), "{bit}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_was_compressed_is_inflated(
            contents in prop::collection::vec(prop::collection::vec(0_u8..9, 0..3_000), 1..4),
        ) {
            let body: Vec<u8> = contents.iter().flat_map(|content| member(content)).collect();
            let whole = contents.concat();
            prop_assert_eq!(inflate(&body, whole.len()), Ok(whole.clone()));
            if let Some(less) = whole.len().checked_sub(1) {
                prop_assert_eq!(inflate(&body, less), Err(GzipError::TooLarge));
            }
        }

        #[test]
        fn damage_gives_an_error_or_the_same_content(
            content in prop::collection::vec(any::<u8>(), 0..500),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut: prop::sample::Index,
        ) {
            let body = member(&content);
            let mut damaged = body.clone();
            for (place, byte) in damage {
                damaged[place.index(body.len())] = byte;
            }
            if let Ok(found) = inflate(&damaged, 1_000) {
                prop_assert_eq!(&found, &content);
            }
            damaged.truncate(cut.index(body.len()));
            prop_assert!(inflate(&damaged, 1_000).is_err());
        }

        #[test]
        fn any_bytes_give_no_more_than_the_limit(
            has_header: bool, tail in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let header: &[u8] = if has_header { &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255] } else { &[] };
            let body = [header, &tail].concat();
            if let Ok(found) = inflate(&body, 50) {
                prop_assert!(found.len() <= 50);
            }
        }
    }
}
