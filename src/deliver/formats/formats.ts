import type { Receiver } from "../deliver.ts";
import type { FormatName } from "./names.ts";
import { Webhook } from "./webhook.ts";
import type { WebhookContext, WebhookSettings } from "./webhook.ts";

type MakeReceiver = (settings: WebhookSettings, context: WebhookContext) => Receiver & Disposable;

/** One entry for each format: a new sink is its file, its name and its entry here. */
const formats: Readonly<Record<FormatName, MakeReceiver>> = {
  standard: (settings, context) => new Webhook(settings, context),
};

/** The receiver that a sink's settings ask for. */
export const makeReceiver: MakeReceiver = (settings, context) =>
  formats[settings.format](settings, context);
