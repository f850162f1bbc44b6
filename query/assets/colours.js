// The colours of the page's style, for what is drawn and not styled.

/** The value of a variable of `app.css`, as it is in the present scheme. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** How many colours there are for lines. */
export const COLOURS = 10;
