import { type ReactNode, useState } from "react";
import { copyText } from "./files";
import { Icon } from "./icons";

const COPIED_MS = 1_500;

interface SnippetProps {
  readonly label: string;
  readonly text: string;
  readonly textTestId?: string;
  readonly copyTestId?: string;
}

/** Text to be taken elsewhere as it is. */
export function Snippet({ label, text, textTestId, copyTestId }: SnippetProps): ReactNode {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    await copyText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), COPIED_MS);
  };
  return (
    <div className="snippet">
      <pre tabIndex={0} aria-label={label}><code data-testid={textTestId}>{text}</code></pre>
      <button type="button" className="button" onClick={() => void copy()} data-testid={copyTestId}>
        <Icon name={copied ? "check" : "copy"} />{copied ? "Copied" : "Copy"}
      </button>
    </div>
  );
}
