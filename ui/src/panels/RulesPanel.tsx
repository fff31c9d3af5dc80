import type { ReactNode } from "react";
import { AskedPanel } from "../components/Asked";
import { useMayChange, useRules } from "../state/alerting";
import { useApp } from "../state/hooks";

/** What is watched for. Rules of files are changed in their files. */
export function RulesPanel(): ReactNode {
  const query = useRules();
  const mayChange = useMayChange();
  const { navigation } = useApp();
  return (
    <AskedPanel title="Rules" query={query} testId="rules">
      {({ groups }) => (
        <>
          <ul className="rows">
            {groups.filter(({ source }) => source !== "built-in").map((group) => (
              <li className="row" key={group.name} data-testid="rule-group" data-group={group.name}>
                <div className="row-words">
                  <p><strong>{group.name}</strong> <span className="panel-note">{group.text === null ? `in the file ${group.file ?? ""}` : "made here"}</span></p>
                  <p className="panel-note">{group.rules.map(({ name }) => name).join(", ")}</p>
                </div>
                {mayChange && group.text !== null && <button type="button" className="button" aria-label={`Edit ${group.name}`} onClick={() => navigation.go({ edit: group.name })}>Edit</button>}
              </li>
            ))}
          </ul>
          {mayChange && <button type="button" className="button rules-new" data-testid="rules-new" onClick={() => navigation.go({ edit: "" })}>Write rules</button>}
        </>
      )}
    </AskedPanel>
  );
}
