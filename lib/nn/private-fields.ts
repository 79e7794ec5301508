/**
 * What private (`#`) fields hold. The language hides them from everyone, and a layer kept in one would
 * be trained and saved by nobody; the debugger's view of an object is the one that shows them.
 */
import type { Session } from 'node:inspector';

type Class = abstract new (...args: never[]) => unknown;

/** By class: whether it or a class above it has private fields that are not known to be harmless. */
const having = new WeakMap<Class, boolean>();
const harmless = new WeakSet<Class>();

/** Says of a class that its private fields hold no state that is not given as a member. */
export function holdsNoState(of: Class): void {
  harmless.add(of);
}

/** Whether objects of the class have private fields; of its methods nothing is said. */
function hasPrivateFields(of: Class): boolean {
  const known = having.get(of);
  if (known !== undefined) return known;
  const above = Object.getPrototypeOf(of) as Class | null;
  const own = !harmless.has(of) && /#[\w$]+\s*[=;]/.test(Function.prototype.toString.call(of));
  const found = own || (typeof above === 'function' && hasPrivateFields(above));
  having.set(of, found);
  return found;
}

/** Names and values of an object's private fields; none where this runtime cannot tell. */
export function privateFields(object: object): [name: string, value: unknown][] {
  if (!hasPrivateFields(object.constructor as Class)) return [];
  try {
    const { Session } = process.getBuiltinModule('node:inspector');
    const session = new Session();
    session.connect();
    try {
      return fieldsBy(session, object);
    } finally {
      session.disconnect();
    }
  } catch {
    // Deno, Bun, or a Node built without the inspector.
    return [];
  }
}

const EXCHANGE = Symbol.for('m3l.privateFields');

interface Exchange {
  object: object;
  value?: unknown;
}

/** Objects go to the debugger and back by way of a global symbol; its calls end before they return. */
function fieldsBy(session: Session, object: object): [name: string, value: unknown][] {
  const global = globalThis as unknown as Record<symbol, Exchange | undefined>;
  const exchange: Exchange = { object };
  global[EXCHANGE] = exchange;
  const fields: [string, unknown][] = [];
  const exchanged = "globalThis[Symbol.for('m3l.privateFields')]";
  try {
    session.post('Runtime.evaluate', { expression: `${exchanged}.object` }, (_, found) => {
      const objectId = found?.result.objectId;
      if (objectId === undefined) return;
      session.post('Runtime.getProperties', { objectId, ownProperties: true }, (_, properties) => {
        const { privateProperties = [] } = properties as {
          privateProperties?: { name: string; value?: { objectId?: string } }[];
        };
        for (const { name, value } of privateProperties) {
          if (value?.objectId === undefined) continue;
          const functionDeclaration = `function (value) { ${exchanged}.value = value; }`;
          const call = { objectId, functionDeclaration, arguments: [{ objectId: value.objectId }] };
          session.post('Runtime.callFunctionOn', call);
          fields.push([name, exchange.value]);
        }
      });
    });
  } finally {
    delete global[EXCHANGE];
  }
  return fields;
}
