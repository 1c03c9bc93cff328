// Made by `python -m signaling.http.api.pages` from the server's operations. Do not edit.
// Types only: what the HTTP API takes and answers, by operation.

export interface FieldProblem {
  readonly pointer: string;
  readonly code: string;
  readonly message: string;
}

export interface JoinAnswer {
  readonly token: string;
  readonly url: string;
  readonly identity: string;
}

export interface JoinRequest {
  readonly room: string;
  readonly name: string;
}

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly request_id?: string;
  readonly errors?: readonly FieldProblem[];
}

export interface Sotto {
  readonly api: string;
  readonly socket: string;
  readonly livekit: string;
  readonly openapi: string;
  readonly asyncapi: string;
  readonly versions: Versions;
  readonly features: Readonly<Record<string, boolean>>;
}

export interface Versions {
  readonly api: readonly string[];
  readonly sync: readonly string[];
  readonly livekit: readonly string[];
}

/** Every operation: where it is, what it takes, what it answers. */
export interface Operations {
  findPasswordChange: {
    method: 'GET';
    path: '/.well-known/change-password';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  joinAsGuest: {
    method: 'POST';
    path: '/api/join';
    body: JoinRequest;
    query: undefined;
    answer: JoinAnswer;
  };
  readAsyncApi: {
    method: 'GET';
    path: '/api/asyncapi.json';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  readOpenApi: {
    method: 'GET';
    path: '/api/openapi.json';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  readProblem: {
    method: 'GET';
    path: '/problems/{code}';
    body: undefined;
    query: undefined;
    answer: Blob;
  };
  readRelatedOrigins: {
    method: 'GET';
    path: '/.well-known/webauthn';
    body: undefined;
    query: undefined;
    answer: undefined;
  };
  readSecurityContact: {
    method: 'GET';
    path: '/.well-known/security.txt';
    body: undefined;
    query: undefined;
    answer: Blob;
  };
  readServer: {
    method: 'GET';
    path: '/.well-known/sotto';
    body: undefined;
    query: undefined;
    answer: Sotto;
  };
}
