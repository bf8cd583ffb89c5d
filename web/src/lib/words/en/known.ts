/** What the page of people says. */

export const known = {
  view: "People",
  intro: "Whoever is in a room that you may see, with those rooms, and with what of theirs measures now and is shown to you.",
  signed_out: "Not signed in, you see whoever is in an open room.",
  loading: "Asking who is here…",
  everybody: "Everybody",
  absent: "Nobody whom you may know of has this address.",
  filter: "A name, a room, a signal",
  none: "Nobody is here yet: make a room, and invite somebody.",
  no_match: "Nobody here is called so.",
  count: "{0, plural, one {# person} other {# people}}",
  more: "There are more: Ctrl K finds them by name.",
  rooms: "{0, plural, =0 {in no room that you see} one {in # room} other {in # rooms}}",
  sensors: "{0, plural, =0 {nothing that you see measures now} one {# sensor measures now} other {# sensors measure now}}",
  and_more: "{0, plural, one {and # more} other {and # more}}",
} as const;
