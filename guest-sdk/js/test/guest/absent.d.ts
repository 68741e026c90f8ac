declare module "node:fs" {
    export function readFileSync(path: string): string;
}

declare module "@azure/functions" {
    export const app: { http(name: string, options: object): void };
}

declare function setTimeout(job: (value?: unknown) => void, milliseconds: number): number;
