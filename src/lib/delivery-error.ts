/** How a delivery failed. `later`: refused for now (try after `retryAfterMs`); `never`: refused for good; `unknown`: nobody knows whether it came through. */
export class DeliveryError extends Error {
  constructor(
    readonly reason: "later" | "never" | "unknown",
    message: string,
    readonly retryAfterMs: number | null = null,
  ) {
    super(message);
    this.name = "DeliveryError";
  }
}
