import { type FormEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";
import { ErrorWords, PanelError } from "../components/Panel";
import { BarSkeleton } from "../components/Skeletons";
import { Snippet } from "../components/Snippet";
import { type AccessKey, type MadeKey, SCOPES, SCOPE_WORDS, type Scope, type Session, readOrigins } from "../core/access";
import { fullTime } from "../core/times";
import { startAnew } from "../state/app";
import { useAddress, useApp, useKeys, useSession } from "../state/hooks";

/** Who may send, read and change: keys, and who is signed in here. */
export default function KeysDialog({ onClose }: { readonly onClose: () => void }): ReactNode {
  const dialog = useRef<HTMLDialogElement>(null);
  const title = useId();
  const session = useSession().data;
  const [made, setMade] = useState<MadeKey | null>(null);
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  return (
    <dialog ref={dialog} className="help keys" aria-labelledby={title} data-testid="keys" onClose={() => !dialog.current?.open && onClose()} onClick={(event) => event.target === dialog.current && onClose()}>
      <h2 id={title}>Keys</h2>
      <p className="panel-note">{session && sentenceOf(session)}</p>
      {session?.scope === "admin" && <KeysForAdmins session={session} made={made} onMade={setMade} />}
      <p className="dialog-foot">
        <button type="button" className="button" onClick={onClose}>Close</button>
        {session?.name != null && <SignOut />}
      </p>
    </dialog>
  );
}

function sentenceOf({ needed, name, scope }: Session): string {
  if (!needed) return "There are no keys: whoever reaches this server may send, read and change. From the first key on, every request needs one.";
  return scope === "admin" ? `Signed in with the key ${name ?? ""}.` : `Signed in with the key ${name ?? ""}, which may read. Keys are made with one of the scope admin.`;
}

function SignOut(): ReactNode {
  const app = useApp();
  const signOut = async (): Promise<void> => {
    await app.client.signOut();
    await startAnew(app);
  };
  return <button type="button" className="button" data-testid="sign-out" onClick={() => void signOut()}>Sign out</button>;
}

interface MadeProps {
  readonly session: Session;
  readonly made: MadeKey | null;
  readonly onMade: (made: MadeKey | null) => void;
}

function KeysForAdmins({ session, made, onMade }: MadeProps): ReactNode {
  const query = useKeys();
  const { client, queries } = useApp();
  const [error, setError] = useState<Error | null>(null);
  const change = async (work: () => Promise<MadeKey | void>): Promise<void> => {
    try {
      setError(null);
      onMade((await work()) ?? null);
      // The first key shuts this browser out as everyone else: it comes back in with that key.
      if (!session.needed) await queries.invalidateQueries({ queryKey: ["session"] });
      await queries.invalidateQueries({ queryKey: ["keys"] });
    } catch (reason) {
      setError(reason instanceof Error ? reason : new Error(String(reason)));
    }
  };
  const make = (name: string, scope: Scope, origins: readonly string[]): Promise<void> =>
    change(async () => {
      const done = await client.makeKey({ name, scope, origins });
      if (!session.needed) await client.signIn(done.secret);
      return done;
    });
  return (
    <>
      {made && <Secret made={made} />}
      {query.data ? <KeyTable keys={query.data} onRotate={(key) => void change(() => client.rotateKey(key.id))} onRevoke={(key) => void change(() => client.revokeKey(key.id))} /> : query.isError ? <PanelError query={query} /> : <BarSkeleton widths={[60, 80]} />}
      <MakeForm isFirst={!session.needed} onMake={make} />
      <div role="alert">{error && <ErrorWords error={error} />}</div>
    </>
  );
}

function Secret({ made }: { readonly made: MadeKey }): ReactNode {
  return (
    <section className="secret" role="status" data-testid="key-secret">
      <p>The secret of <strong>{made.key.name}</strong>. Keep it now: it is not shown again.</p>
      <Snippet label="The secret" text={made.secret} />
    </section>
  );
}

interface KeyTableProps {
  readonly keys: readonly AccessKey[];
  readonly onRotate: (key: AccessKey) => void;
  readonly onRevoke: (key: AccessKey) => void;
}

function KeyTable({ keys, onRotate, onRevoke }: KeyTableProps): ReactNode {
  const { zone } = useAddress();
  const [asked, setAsked] = useState<string | null>(null);
  if (keys.length === 0) return null;
  return (
    <div className="letters-scroll">
      <table className="plain-table">
        <caption className="visually-hidden">Keys, the newest first</caption>
        <thead><tr><th scope="col">Name</th><th scope="col">Scope</th><th scope="col">Ends in</th><th scope="col">Pages</th><th scope="col">Made</th><th scope="col"><span className="visually-hidden">Actions</span></th></tr></thead>
        <tbody>
          {keys.map((key) => (
            <tr key={key.id} data-testid="key" data-key={key.name} data-revoked={key.revokedMs !== null}>
              <th scope="row">{key.name}</th>
              <td>{key.scope}</td>
              <td><code>…{key.hint}</code></td>
              <td className="letter-message">{key.origins.join(" ")}</td>
              <td>{key.createdMs !== null && fullTime(key.createdMs, zone)}</td>
              <td className="key-actions">
                {key.revokedMs !== null ? <span className="panel-note">revoked</span> : asked === key.id ? (
                  <>
                    <button type="button" className="button" onClick={() => { setAsked(null); onRevoke(key); }}>Revoke for good</button>
                    <button type="button" className="toggle-button" onClick={() => setAsked(null)}>Keep</button>
                  </>
                ) : (
                  <>
                    <button type="button" className="toggle-button" title="A new secret; the one before is good for a day more" onClick={() => onRotate(key)}>Rotate</button>
                    <button type="button" className="toggle-button" onClick={() => setAsked(key.id)}>Revoke</button>
                  </>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface MakeFormProps {
  readonly isFirst: boolean;
  readonly onMake: (name: string, scope: Scope, origins: readonly string[]) => Promise<void>;
}

function MakeForm({ isFirst, onMake }: MakeFormProps): ReactNode {
  const [name, setName] = useState(isFirst ? "admin" : "");
  const [chosen, setChosen] = useState<Scope>("write");
  const [origins, setOrigins] = useState("");
  const scope = isFirst ? "admin" : chosen;
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    await onMake(name.trim(), scope, scope === "write" ? readOrigins(origins) : []);
    setName("");
    setOrigins("");
  };
  return (
    <form className="key-form" onSubmit={(event) => void submit(event)}>
      <label>Name<input type="text" data-testid="key-name" autoComplete="off" spellCheck={false} placeholder="shop" value={name} onChange={(event) => setName(event.target.value)} /></label>
      <label>Scope
        <select data-testid="key-scope" value={scope} disabled={isFirst} onChange={(event) => setChosen(event.target.value as Scope)}>
          {SCOPES.map((each) => <option key={each} value={each}>{each}</option>)}
        </select>
      </label>
      {scope === "write" && <label>Pages that may use it<input type="text" autoComplete="off" spellCheck={false} placeholder="https://shop.example" value={origins} onChange={(event) => setOrigins(event.target.value)} /></label>}
      <button type="submit" className="button primary" data-testid="key-make" disabled={name.trim() === ""}>Make {isFirst ? "the first key" : "a key"}</button>
      <p className="panel-note key-note">{isFirst ? "It does all. You stay signed in with it." : `It ${SCOPE_WORDS[scope]}.`}</p>
    </form>
  );
}
