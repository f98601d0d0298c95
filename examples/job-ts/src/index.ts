// Greets NAME as many TIMES, and ends; anything else than a number of times is a failed task.
const name = process.env.NAME ?? "World";
const times = Number(process.env.TIMES ?? 1);

if (!Number.isInteger(times) || times < 0) {
  console.error(`TIMES=${process.env.TIMES}: not a number`);
  process.exit(1);
}
for (let i = 1; i <= times; i++) {
  console.log(`${i}: Hello ${name}!`);
}
