//! Rows of CSV (RFC 4180), with a separator of choice.

use std::borrow::Cow;

use crate::limits;
use crate::sources::tree::Field;
use crate::sources::tree::Node;
use crate::sources::tree::Unread;

/// A row: the number of its first line, from 1, and its cells.
pub(crate) type Row<'a> = (usize, Vec<Cow<'a, str>>);

/// The rows of a text, without those that are empty.
pub(crate) struct Rows<'a> {
    rest: &'a str,
    separator: char,
    /// The number of the line that the rest begins with.
    line: usize,
}

impl<'a> Rows<'a> {
    /// The rows of `text`, whose cells are separated by `,`, `;` or a tab.
    pub(crate) fn of(text: &'a str, separator: char) -> Self {
        Self { rest: text, separator, line: 1 }
    }

    /// The next row. Fails with what is wrong; nothing can be read after that.
    pub(crate) fn next_row(&mut self) -> Result<Option<Row<'a>>, Unread> {
        while let Some(rest) = self.rest.strip_prefix("\r\n").or(self.rest.strip_prefix('\n')) {
            (self.rest, self.line) = (rest, self.line + 1);
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let line = self.line;
        let mut cells = Vec::new();
        loop {
            if cells.len() == limits::SOURCE_COLUMNS_MAX {
                return Err(Unread::TooLarge);
            }
            cells.push(self.cell()?);
            if let Some(rest) = self.rest.strip_prefix(self.separator) {
                self.rest = rest;
                continue;
            }
            self.line += usize::from(!self.rest.is_empty());
            let rest = self.rest.strip_prefix('\r').unwrap_or(self.rest);
            self.rest = rest.strip_prefix('\n').unwrap_or(rest);
            return Ok(Some((line, cells)));
        }
    }

    /// Takes a cell, up to its separator or the end of its line.
    fn cell(&mut self) -> Result<Cow<'a, str>, Unread> {
        if let Some(inner) = self.rest.strip_prefix('"') {
            return self.quoted(inner);
        }
        let separator = self.separator;
        let end = self.rest.find([separator, '\n']).unwrap_or(self.rest.len());
        let (cell, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        let is_last = !rest.starts_with(separator);
        let cell = if is_last { cell.strip_suffix('\r').unwrap_or(cell) } else { cell };
        Ok(Cow::Borrowed(cell))
    }

    fn quoted(&mut self, inner: &'a str) -> Result<Cow<'a, str>, Unread> {
        let first_line = self.line;
        let syntax = |what| Unread::Syntax(format!("line {first_line}: {what}"));
        let mut cell: Cow<'a, str> = Cow::Borrowed("");
        let mut rest = inner;
        loop {
            let end = rest.find('"').ok_or_else(|| syntax("a quote is never closed"))?;
            let (piece, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
            self.line += piece.matches('\n').count();
            match cell.is_empty() {
                true => cell = Cow::Borrowed(piece),
                false => cell.to_mut().push_str(piece),
            }
            rest = behind.strip_prefix('"').unwrap_or_default();
            let Some(behind) = rest.strip_prefix('"') else { break };
            cell.to_mut().push('"');
            rest = behind;
        }
        self.rest = rest;
        let is_end = rest.is_empty() || rest.starts_with([self.separator, '\n']);
        match is_end || rest.starts_with("\r\n") {
            true => Ok(cell),
            false => Err(syntax("something follows a closing quote")),
        }
    }
}

/// The names of the columns: the cells of the first row, without space around them. Fails if
/// there is no row, or if a name is there twice or empty.
pub(crate) fn header<'a>(rows: &mut Rows<'a>) -> Result<Vec<Cow<'a, str>>, Unread> {
    let row = rows.next_row()?;
    let (_, cells) = row.ok_or_else(|| Unread::Syntax("the header line is missing".to_owned()))?;
    let trimmed = |name: Cow<'a, str>| match name {
        Cow::Borrowed(name) => Cow::Borrowed(name.trim()),
        Cow::Owned(name) => Cow::Owned(name.trim().to_owned()),
    };
    let names: Vec<Cow<'a, str>> = cells.into_iter().map(trimmed).collect();
    if names.iter().any(|name| name.is_empty()) {
        return Err(Unread::Syntax("a column of the header line has no name".to_owned()));
    }
    // An object finds a name that is there twice.
    Node::object(names.iter().map(|name| (name.clone(), Node::Null)).collect())?;
    Ok(names)
}

/// The object of a row. A cell that is empty is absent. Fails if the row has another number of
/// cells than the header.
pub(crate) fn object<'a>(names: &'a [Cow<'a, str>], row: Row<'a>) -> Result<Node<'a>, Unread> {
    let (line, cells) = row;
    if cells.len() != names.len() {
        let (cells, names) = (cells.len(), names.len());
        let detail = format!("line {line} has {cells} cells, and the header has {names}");
        return Err(Unread::Syntax(detail));
    }
    let pairs = names.iter().zip(cells).filter(|(_, cell)| !cell.is_empty());
    let fields = pairs.map(|(name, cell)| (Cow::Borrowed(name.as_ref()), Node::Text(cell)));
    Ok(Node::Object(fields.collect::<Vec<Field<'a>>>()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(text: &str, separator: char) -> Result<Vec<(usize, Vec<String>)>, Unread> {
        let mut rows = Rows::of(text, separator);
        let mut all = Vec::new();
        while let Some((line, cells)) = rows.next_row()? {
            all.push((line, cells.into_iter().map(Cow::into_owned).collect()));
        }
        Ok(all)
    }

    fn syntax<T>(detail: &str) -> Result<T, Unread> {
        Err(Unread::Syntax(detail.to_owned()))
    }

    fn row(line: usize, cells: &[&str]) -> (usize, Vec<String>) {
        (line, cells.iter().map(|cell| (*cell).to_owned()).collect())
    }

    #[test]
    fn cells_are_cut_as_rfc_4180_says() {
        let text = "id,t\r\n\r\na,21.5\n\"b \"\"x\"\", c\",\"1\n2\"\r\nd,";
        let expected =
            vec![row(1, &["id", "t"]), row(3, &["a", "21.5"]), row(4, &["b \"x\", c", "1\n2"])];
        let mut all = rows(text, ',').unwrap();
        assert_eq!(all.pop(), Some(row(6, &["d", ""])));
        assert_eq!(all, expected);
        assert_eq!(
            rows("a;1,5\nb;\"\"\n", ';').unwrap(),
            [row(1, &["a", "1,5"]), row(2, &["b", ""])]
        );
        assert_eq!(rows("a\tb", '\t').unwrap(), [row(1, &["a", "b"])]);
        assert_eq!(rows("a\rb,c\r\n", ',').unwrap(), [row(1, &["a\rb", "c"])]);
    }

    #[test]
    fn what_is_wrong_names_its_line() {
        assert_eq!(rows("a\n\"b\n", ','), syntax("line 2: a quote is never closed"));
        assert_eq!(rows("a\n\"b\"c\n", ','), syntax("line 2: something follows a closing quote"));
        assert_eq!(rows(&",".repeat(limits::SOURCE_COLUMNS_MAX), ','), Err(Unread::TooLarge));
        let header_of = |text| header(&mut Rows::of(text, ',')).map(|_| ());
        assert_eq!(header_of("a,b,a\n"), Err(Unread::KeyTwice("a".to_owned())));
        assert_eq!(header_of("a,,b\n"), syntax("a column of the header line has no name"));
        assert_eq!(header_of("\n"), syntax("the header line is missing"));
        let names = [Cow::Borrowed("a"), Cow::Borrowed("b")];
        let short = (7, vec![Cow::Borrowed("1")]);
        assert_eq!(object(&names, short), syntax("line 7 has 1 cells, and the header has 2"));
    }

    proptest! {
        #[test]
        fn any_cells_come_back(cells in proptest::collection::vec(
            proptest::collection::vec("[a\",\n\r; ]{0,6}", 2..4), 1..5,
        )) {
            let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
            let line = |row: &Vec<String>| row.iter().map(quoted).collect::<Vec<_>>().join(",");
            let text = cells.iter().map(line).collect::<Vec<_>>().join("\r\n");
            let read: Vec<_> = rows(&text, ',').unwrap().into_iter().map(|(_, row)| row).collect();
            prop_assert_eq!(read, cells);
        }

        #[test]
        fn rubbish_is_rows_or_an_error(text in "[a\",\n\r;]{0,30}") {
            if let Ok(rows) = rows(&text, ',') {
                prop_assert!(rows.iter().is_sorted_by_key(|(line, _)| *line));
            }
        }
    }
}
