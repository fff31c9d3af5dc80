import { type FormEvent, type ReactNode, useEffect, useState } from "react";
import { Mark } from "../components/icons";
import { sentence } from "../components/Panel";
import { startAnew } from "../state/app";
import { useApp } from "../state/hooks";

/** The server tells nothing without a key. It is sent once, and kept neither here nor by the browser. */
export function SignIn(): ReactNode {
  const app = useApp();
  const [key, setKey] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  useEffect(() => {
    document.title = "Sign in · Streamgauge";
  }, []);
  const signIn = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await app.client.signIn(key.trim());
      await startAnew(app);
    } catch (reason) {
      setError(reason instanceof Error ? reason : new Error(String(reason)));
      setBusy(false);
    }
  };
  return (
    <main className="start" data-testid="sign-in">
      <Mark size={40} />
      <h1>Sign in</h1>
      <form className="sign-in" onSubmit={(event) => void signIn(event)}>
        <label htmlFor="sign-in-key">A key of the scope read or admin</label>
        <div className="explain-form">
          <input id="sign-in-key" type="password" data-testid="sign-in-key" autoFocus autoComplete="current-password" spellCheck={false} aria-invalid={error !== null} aria-describedby="sign-in-problem" value={key} onChange={(event) => setKey(event.target.value)} />
          <button type="submit" className="button primary" disabled={busy || key.trim() === ""}>Sign in</button>
        </div>
      </form>
      <div id="sign-in-problem" className="sign-in-problem" role="alert">{error && <p className="state-title">{sentence(error.message)}</p>}</div>
      <p className="start-note">Who runs the server makes one with <code>streamgauge keys create NAME --scope read</code></p>
    </main>
  );
}
