// Waiting for a task. Whatever it is made of, what it comes to goes by the order of history alone.

import { MisuseError, errorOf } from "./failure.js";
import { host } from "./host.js";
import { AnyTask, CompoundTask, failureIn, openTask } from "./task.js";

/** Blocks until the task is complete. Its result is there then. */
export function complete(task) {
    refuseCancelled(task);
    if (task.isCompleted) {
        return;
    }
    if (!task.children) {
        task.wait();
    } else if (!task.isFlat) {
        completeTree(task);
    } else if (task instanceof AnyTask) {
        completeFlatAny(task);
    } else {
        completeFlatAll(task);
    }
}

function completeTree(task) {
    const tree = new Tree(task);
    while (!tree.isComplete) {
        tree.accept(nextArrival());
    }
}

function completeFlatAny(task) {
    const handle = host.taskAny(handles(task.children));
    const winner = task.children.find((child) => child.handle === handle);
    winner.arrive();
    task.complete(winner, false);
}

function completeFlatAll(task) {
    let payloads;
    try {
        payloads = host.taskAll(handles(task.children));
    } catch (failure) {
        return task.complete(errorOf(failureIn(failure)), true);
    }
    task.children.forEach((child, index) => child.isCompleted || child.succeed(payloads[index]));
    task.complete(task.children.map((child) => child.result), false);
}

/** Handles as the host takes them. */
const handles = (tasks) => Array.from(tasks, (task) => task.handle);

/** Blocks until the host hands over a task, the next in the order of history. Nothing where it is one that was given up. */
export function nextArrival() {
    const task = openTask(host.nextCompleted());
    task?.arrive();
    return task;
}

function refuseCancelled(task) {
    if (task.isCancelled) {
        throw new MisuseError("a task that was cancelled can not be waited for");
    }
    task.children?.forEach(refuseCancelled);
}

/** A compound task of compound tasks, as it completes: leaf by leaf, in the order of history, each at the cost of its parents alone. */
export class Tree {
    /** The places of each leaf: the nodes it is a child of. */
    #parents = new Map();
    #root;

    constructor(task) {
        this.#root = this.#node(task, undefined);
        this.#catchUp();
    }

    get isComplete() {
        return this.#root.task.isCompleted;
    }

    /** A leaf is complete, and was not before. */
    accept(leaf) {
        for (const parent of this.#parents.get(leaf) ?? []) {
            settle(parent, leaf);
        }
    }

    #node(task, parent) {
        const node = { task, parent, remaining: task.children.length, isDone: false };
        for (const child of task.children) {
            if (child instanceof CompoundTask) {
                this.#node(child, node);
            } else {
                this.#parents.set(child, [...(this.#parents.get(child) ?? []), node]);
            }
        }
        if (task.children.length === 0) {
            finish(node, [], false);
        }
        return node;
    }

    /** Takes in the leaves that are known to be complete. The order in which they, and others, completed is the host's to tell. */
    #catchUp() {
        const leaves = new Map([...this.#parents.keys()].map((leaf) => [leaf.handle, leaf]));
        let known = [...leaves.values()].filter((leaf) => leaf.isCompleted).length;
        while (known > 0 && !this.isComplete) {
            const handle = host.taskAny(handles(leaves.values()));
            const leaf = leaves.get(handle);
            leaves.delete(handle);
            leaf.isCompleted ? (known -= 1) : leaf.arrive();
            this.accept(leaf);
        }
    }
}

/** A child of the node is complete. */
function settle(node, child) {
    if (node.isDone) {
        return;
    }
    if (node.task instanceof AnyTask) {
        return finish(node, child, false);
    }
    if (child.canFail !== false && child.isFaulted) {
        return finish(node, child.result, true);
    }
    node.remaining -= 1;
    if (node.remaining === 0) {
        finish(node, node.task.children.map((each) => each.result), false);
    }
}

function finish(node, value, isFaulted) {
    node.isDone = true;
    if (!node.task.isCompleted) {
        node.task.complete(value, isFaulted);
    }
    if (node.parent) {
        settle(node.parent, node.task);
    }
}
