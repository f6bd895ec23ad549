/** What Bun adds to streams, and the DOM's types hide where both are known. */
// biome-ignore lint/suspicious/noExplicitAny: as the DOM's types have it
interface ReadableStream<R = any> {
  text(): Promise<string>;
}
