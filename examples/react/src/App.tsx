import { type Address, go, type Kind, KINDS, useAddress } from "./address";
import { Answer, AskForm } from "./Answer";
import { Greeting, GreetingForm } from "./Greeting";
import { Import, ImportForm } from "./Import";
import { Trials } from "./Trials";

const TITLES: Record<Kind, string> = { greeting: "Quick start", answer: "An answer", import: "An import" };
const FORMS = { greeting: GreetingForm, answer: AskForm, import: ImportForm };
const VIEWS = { greeting: Greeting, answer: Answer, import: Import };

/** A second page, within this one, that only looks. */
const isGuest = new URLSearchParams(location.search).has("guest");

export function App() {
  const address = useAddress();
  if (isGuest) return <main className="guest">{view(address)}</main>;
  const Form = FORMS[address.kind];
  return (
    <main>
      <header>
        <h1>Stepcast and React</h1>
        <p>Durable functions in Rust, and a page that sees what they say.</p>
      </header>
      <nav aria-label="Examples">
        {KINDS.map((kind) => (
          <button key={kind} aria-current={kind === address.kind ? "page" : undefined} onClick={() => go({ kind })}>
            {TITLES[kind]}
          </button>
        ))}
      </nav>
      <Form key={address.kind} onBegun={(job, run) => go({ kind: address.kind, job, run })} />
      {view(address)}
      {address.job && <Trials key={`trials of ${address.job}`} />}
    </main>
  );
}

function view({ kind, job, run }: Address) {
  const View = VIEWS[kind];
  return job && <View key={job} job={job} run={run} />;
}
