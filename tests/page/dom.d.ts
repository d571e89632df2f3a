/** What browsers have and TypeScript's own declarations do not yet. Optional: not in every browser. */

interface Element {
  moveBefore?<T extends Node>(node: T, child: Node | null): void;
}
