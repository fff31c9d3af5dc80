/** JSON as people read it. */

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;
/** Something nested a thousand times deep must not become a megabyte of spaces. */
const INDENTS_MAX = 20;

/**
 * The same JSON with line breaks. Token by token, because to parse it and write it again would round large numbers and
 * lose names that are given twice. What is not JSON stays as it is.
 */
export function prettyJson(text: string): string {
  if (!isJson(text)) return text;
  const tokens = text.match(TOKEN) ?? [];
  let depth = 0;
  let written = "";
  const line = (): string => `\n${"  ".repeat(Math.min(depth, INDENTS_MAX))}`;
  for (const [index, token] of tokens.entries()) {
    const isEmpty = /^[{[]$/.test(tokens[index - 1] ?? "");
    if (token === "{" || token === "[") {
      depth += 1;
      written += /^[}\]]$/.test(tokens[index + 1] ?? "") ? token : token + line();
    } else if (token === "}" || token === "]") {
      depth -= 1;
      written += isEmpty ? token : line() + token;
    } else {
      written += token === "," ? token + line() : token === ":" ? ": " : token;
    }
  }
  return written;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
