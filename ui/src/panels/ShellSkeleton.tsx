import type { ReactNode } from "react";
import { BarSkeleton, DonutSkeleton, LineSkeleton } from "../components/Skeletons";

/** The page before the first answer, in the shape of what comes. */
export function ShellSkeleton(): ReactNode {
  return (
    <main className="page" aria-busy="true" aria-label="Loading">
      <section className="key-numbers">
        {["a", "b", "c", "d", "e"].map((key) => (
          <div className="key-number" key={key}>
            <span className="skeleton label-skeleton" />
            <span className="skeleton key-skeleton" />
          </div>
        ))}
      </section>
      <div className="grid">
        <section className="panel panel-wide"><div className="panel-body"><LineSkeleton /></div></section>
        <section className="panel"><div className="panel-body"><DonutSkeleton /></div></section>
        <section className="panel"><div className="panel-body"><BarSkeleton /></div></section>
      </div>
    </main>
  );
}
