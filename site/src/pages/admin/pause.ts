const SECOND_MS = 1000;

/** Resolves after a time that the service has asked for. */
export const pause = (seconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, seconds * SECOND_MS));
