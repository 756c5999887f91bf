/** Boundaries for faults in rendering, a part whose code did not come among them: offline, or after a new release. */

import { Component, Suspense, type ReactNode } from "react";
import { useText } from "../i18n/language";
import { PageTitle } from "./PageTitle";

interface Props {
  /** Shown in place of the children after a fault. */
  fallback: ReactNode;
  /** Place of the children, such as a path; at another one they are tried again. */
  at?: string;
  children: ReactNode;
}

export class CrashBoundary extends Component<Props, { crashed: boolean }> {
  override state = { crashed: false };

  static getDerivedStateFromError() {
    return { crashed: true };
  }

  override componentDidUpdate(before: Props) {
    if (this.state.crashed && before.at !== this.props.at) this.setState({ crashed: false });
  }

  override render() {
    return this.state.crashed ? this.props.fallback : this.props.children;
  }
}

/** The last resort, where the frame of all pages has crashed. */
export function CrashedBoard() {
  const text = useText();
  return (
    <main className="crashed">
      <h1>{text.errors.crashed}</h1>
      <ReloadButton />
    </main>
  );
}

/** In place of a page, in the frame of all pages. */
export function CrashedPage() {
  const text = useText();
  return (
    <>
      <PageTitle>{text.errors.crashed}</PageTitle>
      <p>{text.errors.checkConnection}</p>
      <ReloadButton />
    </>
  );
}

/** Part of a page whose code comes later; the page stays readable without it. */
export function LazyPart({ children }: { children: ReactNode }) {
  return (
    <CrashBoundary fallback={<CrashedPart />}>
      <Suspense fallback={null}>{children}</Suspense>
    </CrashBoundary>
  );
}

function CrashedPart() {
  const text = useText();
  return (
    <div className="problem" role="alert">
      <p>
        {text.errors.crashed} {text.errors.checkConnection}
      </p>
      <ReloadButton />
    </div>
  );
}

function ReloadButton() {
  const text = useText();
  return (
    <button className="button" onClick={() => location.reload()}>
      {text.errors.reload}
    </button>
  );
}
