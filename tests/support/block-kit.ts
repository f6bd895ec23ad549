/** Parts of a message as they are looked at here. */
// biome-ignore lint/suspicious/noExplicitAny: a test looks into messages without describing them first
type Part = any;

/** What Slack would refuse about a message's blocks: its documented limits. Empty when it would take them. */
export function blockMistakes(blocks: readonly Part[]): string[] {
  const found: string[] = [];
  const check = (isRight: boolean, what: string) => void (isRight || found.push(what));
  const text = (part: Part, max: number, where: string, plain = false) => {
    check(part?.type === "plain_text" || (!plain && part?.type === "mrkdwn"), `${where}: type ${part?.type}`);
    check(typeof part?.text === "string" && part.text.length >= 1, `${where}: no text`);
    check((part?.text?.length ?? 0) <= max, `${where}: ${part?.text?.length} characters, ${max} at most`);
    check(isWellFormed(part?.text), `${where}: a lone surrogate`);
  };
  const confirm = (part: Part, where: string) => {
    text(part.title, 100, `${where}: title`, true);
    text(part.text, 300, `${where}: text`);
    text(part.confirm, 30, `${where}: confirm`, true);
    text(part.deny, 30, `${where}: deny`, true);
  };
  const element = (part: Part, where: string) => {
    check((part.action_id?.length ?? 0) <= 255, `${where}: action_id`);
    if (part.confirm) confirm(part.confirm, `${where}: confirm`);
    if (part.type === "button") {
      text(part.text, 75, where, true);
      check((part.value?.length ?? 0) <= 2_000, `${where}: value`);
      check((part.url?.length ?? 0) <= 3_000, `${where}: url`);
      check([undefined, "primary", "danger"].includes(part.style), `${where}: style`);
      return;
    }
    check(part.type === "overflow", `${where}: type ${part.type}`);
    const options: Part[] = part.options ?? [];
    check(options.length >= 1 && options.length <= 5, `${where}: ${options.length} options, 1 to 5`);
    for (const option of options) {
      text(option.text, 75, `${where}: option`, true);
      check(option.value?.length >= 1 && option.value.length <= 150, `${where}: option's value`);
      check((option.url?.length ?? 0) <= 3_000, `${where}: option's url`);
    }
  };
  const block = (part: Part, where: string) => {
    check(part.block_id === undefined || part.block_id.length <= 255, `${where}: block_id`);
    if (part.type === "divider") return;
    if (part.type === "header") return text(part.text, 150, where, true);
    if (part.type === "section") {
      check(part.text !== undefined || part.fields !== undefined, `${where}: neither text nor fields`);
      if (part.text !== undefined) text(part.text, 3_000, where);
      if (part.fields !== undefined) check(part.fields.length >= 1 && part.fields.length <= 10, `${where}: fields`);
      for (const field of part.fields ?? []) text(field, 2_000, `${where}: field`);
      if (part.accessory !== undefined) element(part.accessory, `${where}: accessory`);
      return;
    }
    if (part.type === "context") {
      check(part.elements.length >= 1 && part.elements.length <= 10, `${where}: ${part.elements.length} elements`);
      for (const one of part.elements) text(one, 3_000, where);
      return;
    }
    check(part.type === "actions", `${where}: type ${part.type}`);
    const elements: Part[] = part.elements ?? [];
    check(elements.length >= 1 && elements.length <= 25, `${where}: ${elements.length} elements`);
    for (const [at, one] of elements.entries()) element(one, `${where}: element ${at}`);
    check(isUnique(elements.map((one) => one.action_id)), `${where}: an action_id twice`);
  };
  check(blocks.length <= 50, `${blocks.length} blocks, 50 at most`);
  for (const [at, part] of blocks.entries()) block(part, `block ${at} (${part.type})`);
  check(isUnique(blocks.map((part) => part.block_id)), "a block_id twice");
  return found;
}

/** What Slack would refuse about a dialog of inputs. */
export function dialogMistakes(view: Part): string[] {
  const found: string[] = [];
  const check = (isRight: boolean, what: string) => void (isRight || found.push(what));
  const plain = (part: Part, max: number, where: string) =>
    check(part?.type === "plain_text" && part.text.length >= 1 && part.text.length <= max, where);
  check(view.type === "modal", "type");
  check((view.private_metadata?.length ?? 0) <= 3_000, "private_metadata");
  check((view.callback_id?.length ?? 0) <= 255, "callback_id");
  for (const name of ["title", "submit", "close"]) plain(view[name], 24, name);
  for (const { type, block_id, label, element } of view.blocks) {
    check(type === "input", `${block_id}: type ${type}`);
    plain(label, 2_000, `${block_id}: label`);
    if (element.type === "plain_text_input") {
      check(element.max_length >= 1 && element.max_length <= 3_000, `${block_id}: max_length`);
      continue;
    }
    check(element.type === "static_select", `${block_id}: type ${element.type}`);
    check(element.options.length >= 1 && element.options.length <= 100, `${block_id}: options`);
    for (const option of element.options) plain(option.text, 75, `${block_id}: option`);
  }
  check(isUnique(view.blocks.map((part: Part) => part.block_id)), "a block_id twice");
  return found;
}

function isWellFormed(text: unknown): boolean {
  return typeof text !== "string" || text.isWellFormed();
}

function isUnique(names: readonly (string | undefined)[]): boolean {
  const given = names.filter((name) => name !== undefined);
  return new Set(given).size === given.length;
}
