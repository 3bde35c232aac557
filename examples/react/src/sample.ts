const PEOPLE = ["ada", "grace", "alan", "edsger", "barbara", "donald", "radia"];

/** A file of orders, with a few rows that cannot be taken. */
export function sampleOrders(rows = 240): string {
  const lines = Array.from({ length: rows }, (_, at) => {
    const number = at + 1;
    const email = number % 83 === 0 ? "somebody" : `${PEOPLE[at % PEOPLE.length]}@example.com`;
    const amount = number % 101 === 0 ? "twelve" : `${(number * 37) % 190}.${String((number * 13) % 100).padStart(2, "0")}`;
    return `A-${String(number).padStart(4, "0")},${email},${amount}`;
  });
  return ["order,email,amount", ...lines].join("\n");
}
