HEAD = "version: 1\nproject: flights\nmodels: {delay: {path: delay.onnx}}\nserving:\n"
SPEC = HEAD + "".join(f"  s{i}: {{model: delay, replica: 1}}\n" for i in range(500))
