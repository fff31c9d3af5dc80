import { Component, type ReactNode } from "react";

interface Props {
  readonly children: ReactNode;
}

/** A bug in what it holds becomes a message with a way out, not an empty page. */
export class Boundary extends Component<Props, { readonly error: Error | null }> {
  override readonly state: { readonly error: Error | null } = { error: null };

  static getDerivedStateFromError(error: Error): { error: Error } {
    return { error };
  }

  override render(): ReactNode {
    if (!this.state.error) return this.props.children;
    return (
      <main className="start" role="alert" data-testid="boundary">
        <h1>The dashboard stopped</h1>
        <p>This is a bug: {this.state.error.message}</p>
        <button type="button" className="button primary" onClick={() => location.reload()}>
          Load the page again
        </button>
      </main>
    );
  }
}
