/** What a person does in a page of the real server: comes in, makes a room, reads what is said. */

import { must, until } from "./browser.mjs";

export const PASSWORD = "correct horse battery";
export const signed_in = (page, role) => until(page, (is) => __sensocto.me?.role === is, role);
export const live = (page) => until(page, () => __sensocto.link === "live" && __sensocto.sensors.length > 0);
export const at = (page, hash) => page.evaluate((to) => (location.hash = to), hash);
export const said = (page, selector, text) => until(page, ([where, words]) => document.querySelector(where)?.textContent.includes(words), [selector, text]);
export const complaints = ({ account }) => must(account.complaints.length === 0 && account.foreign.length === 0, [...account.complaints, ...account.foreign].join("\n"));

export async function register(page, email, name) {
  await at(page, "#/account");
  await page.click("[data-act=turn]");
  await page.fill("[name=email]", email);
  await page.fill("[name=password]", PASSWORD);
  await page.fill("[name=display_name]", name);
  await page.click("[data-act=register]");
  await signed_in(page, "person");
}
export async function guest(page, name) {
  await page.fill("[name=guest_name]", name);
  await page.click("[data-act=guest]");
  await signed_in(page, "guest");
}
/** Makes a room and leaves the page in it; answers its id. */
export async function make_room(page, name, { is_public = false } = {}) {
  await at(page, "#/rooms");
  await page.fill("#make [name=room_name]", name);
  if (is_public) await page.check("#make [name=is_public]");
  await page.click("[data-act=create]");
  await until(page, (words) => __sensocto.rooms.room?.name === words && __sensocto.rooms.standing === "here", name);
  return page.evaluate(() => __sensocto.rooms.room.id);
}
export async function code_of(page) {
  if ((await page.locator("aside [data-act=code], aside [data-code]").count()) === 0) await page.click("[data-act=desk]");
  await page.click("[data-act=code]");
  await until(page, () => /^[A-Z0-9]{8}$/.test(document.querySelector("[data-code]")?.textContent ?? ""));
  return page.textContent("[data-code]");
}
