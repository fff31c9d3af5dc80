/** What went wrong, in the API's own words where it had any. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: string;
  readonly hint: string;
  /** 0: there was no answer. */
  readonly status: number;

  constructor(code: string, message: string, hint: string, status: number) {
    super(message);
    this.code = code;
    this.hint = hint;
    this.status = status;
  }

  /** Whether the same question may be answered later. */
  get passes(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}
