/** What is looked at to decide which records of a full spool go. */
export interface Droppable {
  readonly type: "alert" | "result";
  /** Alerts of the same key say the same. */
  readonly key: number;
  readonly bytes: number;
}

/** What is to be given up: of `repeats` the same is still told by another record, of `others` not. */
export interface Drops<Record> {
  readonly repeats: Record[];
  readonly others: Record[];
}

/**
 * Which records a full spool gives up to win `neededBytes`, from a list in order of age. First repeats, the oldest first:
 * those that have the same both before and after them, so that when a thing began and how it stands now is still told; then
 * those that have the same after them. Only then the oldest alerts, and the results of commands last.
 */
export function chooseDrops<Record extends Droppable>(records: readonly Record[], neededBytes: number): Drops<Record> {
  const chosen = new Set<Record>();
  let wonBytes = 0;
  const take = (candidates: Iterable<Record>) => {
    for (const record of candidates) {
      if (wonBytes >= neededBytes) return;
      if (chosen.has(record)) continue;
      chosen.add(record);
      wonBytes += record.bytes;
    }
  };
  const alerts = records.filter(({ type }) => type === "alert");
  const newest = lastOfEach(alerts);
  const oldest = lastOfEach(alerts.toReversed());
  take(alerts.filter((record) => newest.get(record.key) !== record && oldest.get(record.key) !== record));
  take(alerts.filter((record) => newest.get(record.key) !== record));
  const repeats = [...chosen];
  take(alerts);
  take(records);
  return { repeats, others: [...chosen].slice(repeats.length) };
}

function lastOfEach<Record extends Droppable>(records: readonly Record[]): Map<number, Record> {
  return new Map(records.map((record) => [record.key, record]));
}
