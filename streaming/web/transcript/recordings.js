// The recordings that the browser keeps, so that they can be played after a reload: one record of a
// database for each part. The oldest make room for new ones; their transcripts stay.

const STORE = "recordings";
export const MAX_BYTES = 200 * 2 ** 20; // together

export class Recordings {
  #database;
  #maxBytes;

  constructor(maxBytes = MAX_BYTES) {
    this.#maxBytes = maxBytes;
    this.#database = opened();
    this.#database.catch(() => {}); // each use sees it
  }

  // Whether there is a database at all: some settings of browsers forbid it.
  async isAllowed() {
    return this.#database.then(
      () => true,
      () => false,
    );
  }

  // The recordings of these parts, a file for each id. Those of other parts are deleted.
  async load(ids) {
    const files = new Map();
    await this.#use((store) => {
      each(store, (record, cursor) => {
        if (ids.includes(record.id)) files.set(record.id, record.file);
        else cursor.delete();
      });
    });
    return files;
  }

  // False if it has not been kept: it is too large, or the browser has no room.
  async keep({ id, created }, file) {
    if (file.size > this.#maxBytes) return false;
    return this.#use((store) => {
      const records = [];
      each(
        store,
        (record) => records.push(record),
        () => {
          const others = records.filter((record) => record.id !== id);
          others.sort((one, other) => one.created - other.created);
          let bytes = file.size + others.reduce((sum, record) => sum + record.file.size, 0);
          while (bytes > this.#maxBytes) {
            const oldest = others.shift();
            bytes -= oldest.file.size;
            store.delete(oldest.id);
          }
          store.put({ id, created, file });
        },
      );
    });
  }

  async remove(ids) {
    await this.#use((store) => {
      for (const id of ids) store.delete(id);
    });
  }

  // Whether the transaction has been completed.
  async #use(work) {
    try {
      const database = await this.#database;
      await new Promise((resolve, reject) => {
        const transaction = database.transaction(STORE, "readwrite");
        transaction.oncomplete = resolve;
        transaction.onabort = () => reject(transaction.error);
        work(transaction.objectStore(STORE));
      });
      return true;
    } catch {
      return false;
    }
  }
}

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("rill", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

// Calls `use` with each record and its cursor, then `end`.
function each(store, use, end = () => {}) {
  const request = store.openCursor();
  request.onsuccess = () => {
    const cursor = request.result;
    if (!cursor) return end();
    use(cursor.value, cursor);
    cursor.continue();
  };
}
