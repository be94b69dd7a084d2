import { bodyText } from "../../core/record/chain.ts";
import { signatureHeader, webhookBody } from "../../core/record/webhook.ts";
import { json } from "../format.ts";
import type { Format } from "../format.ts";

/** Standard Webhooks (github.com/standard-webhooks/standard-webhooks, 1.0.0). */
export const standard: Format = {
  maxPerPost: 1,
  isForPeople: false,
  message([notice], { now, secret }) {
    if (!notice) throw new Error("a webhook sends one wanted record at a time");
    const { id, type, at, bytes } = notice;
    const body = webhookBody(type, at, bodyText(bytes));
    const timestamp = Math.floor(now / 1000);
    const headers = {
      ...json,
      "webhook-id": id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": signatureHeader({ id, timestamp, body }, secret.keys),
    };
    return { headers, body };
  },
};
