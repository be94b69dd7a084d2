import type { Time } from "../linux/statx.ts";

const secondsPerDay = 86_400;
/** The years of RFC 3339: 0000 to 9999. Some filesystems store far more, and a user may set any mtime. */
const firstSecond = -62_167_219_200;
const lastSecond = 253_402_300_799;

const twoDigits = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, "0"));

let lastDay = Number.NaN;
let lastDate = "";

/** RFC 3339 in UTC with nine digits. A time outside the years 0000 to 9999 becomes the nearest one inside. */
export function formatTime(time: Time): string {
  const seconds = Math.min(Math.max(time.seconds, firstSecond), lastSecond);
  const day = Math.floor(seconds / secondsPerDay);
  if (day !== lastDay) {
    lastDate = new Date(day * secondsPerDay * 1000).toISOString().slice(0, 11);
    lastDay = day;
  }
  const rest = seconds - day * secondsPerDay;
  const hour = twoDigits[Math.trunc(rest / 3600)];
  const minute = twoDigits[Math.trunc(rest / 60) % 60];
  const fraction = String(1_000_000_000 + time.nanoseconds).slice(1);
  return `${lastDate}${hour}:${minute}:${twoDigits[rest % 60]}.${fraction}Z`;
}
