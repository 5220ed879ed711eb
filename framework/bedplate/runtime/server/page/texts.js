// Texts about a request: laid out to be read, and as commands to be copied.

const STRING = '"(?:[^"\\\\]|\\\\.)*"';
const LONGEST_SHOWN = 50_000;

export const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

export const sentence = (text) => text[0].toUpperCase() + text.slice(1);

export const cut = (text) =>
  text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}\n... and ${text.length - LONGEST_SHOWN} more` : text;

// Not by JSON.parse: whole numbers of 64 bits would lose their last digits.
export function laidOut(json) {
  let depth = 0;
  const line = () => "\n" + "  ".repeat(depth);
  return json.replace(new RegExp(`${STRING}|[{}[\\],:]`, "gs"), (token) => {
    if (token === "{" || token === "[") return ++depth <= 2 ? token + line() : token;
    if (token === "}" || token === "]") return --depth < 2 ? line() + token : token;
    if (token === ",") return depth <= 2 ? token + line() : ", ";
    return token === ":" ? ": " : token;
  });
}

const asWord = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

export function asCurl(url, request, locked) {
  const line = request.replace(new RegExp(`(${STRING})|\\s*\n\\s*`, "gs"), (_, quoted) => quoted ?? "").trim();
  const key = locked ? ' -H "X-API-Key: $API_KEY"' : "";
  return `curl ${asWord(url)}${key} -H 'Content-Type: application/json' --data-raw ${asWord(line)}`;
}

// A text of JSON is one of Python, too, and so is a list of whole numbers.
export function inPython({name, version, inputs, outputs}, base, locked) {
  const quoted = JSON.stringify;
  const address = base.host + base.pathname.replace(/\/[^/]*$/, "");
  const lines = inputs.flatMap((tensor, index) => {
    const shape = quoted(tensor.shape.map((extent) => (extent < 0 ? 1 : extent)));
    const empty = tensor.datatype === "BYTES" ? '""' : "0";
    return [
      `x${index} = http.InferInput(${quoted(tensor.name)}, ${shape}, ${quoted(tensor.datatype)})`,
      `x${index}.set_data_from_numpy(np.full(${shape}, ${empty}, triton_to_np_dtype(${quoted(tensor.datatype)})))`,
    ];
  });
  return [
    '# pip install "tritonclient[http]"',
    ...(locked ? ["import os", ""] : []),
    "import numpy as np",
    "import tritonclient.http as http",
    "from tritonclient.utils import triton_to_np_dtype",
    "",
    `client = http.InferenceServerClient(${quoted(address)}${base.protocol === "https:" ? ", ssl=True" : ""})`,
    ...lines,
    `inputs = [${inputs.map((_, index) => `x${index}`).join(", ")}]`,
    `answer = client.infer(${quoted(name)}, inputs, model_version=${quoted(version)}` +
      `${locked ? ', headers={"X-API-Key": os.environ["API_KEY"]}' : ""})`,
    ...outputs.map((tensor) => `print(answer.as_numpy(${quoted(tensor.name)}))`),
  ].join("\n");
}
