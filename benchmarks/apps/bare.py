"""The limit: FastAPI and ONNX Runtime with the fastest parts there are, and no validation at all.

python bare.py MODEL.ONNX PORT
"""

import sys

import numpy as np
import onnxruntime
import orjson
import uvicorn
from fastapi import FastAPI, Request, Response

DTYPES = {"INT64": np.int64, "FP64": np.float64, "BYTES": np.object_}
DATATYPES = {"f": "FP32", "O": "BYTES"}

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
app = FastAPI()


@app.post("/v2/models/{name}/infer")
async def infer(name: str, request: Request) -> Response:
    """Answer a V2 request, if it is right; if not, whatever happens."""
    document = orjson.loads(await request.body())
    columns: dict[str, np.ndarray] = {
        tensor["name"]: np.array(tensor["data"], DTYPES[tensor["datatype"]]).reshape(-1, 1)
        for tensor in document["inputs"]
    }
    outputs = [
        {
            "name": output,
            "datatype": DATATYPES[values.dtype.kind],
            "shape": values.shape,
            "data": values.ravel().tolist(),
        }
        for output, values in zip(names, session.run(names, columns), strict=True)
    ]
    answer = {"model_name": name, "id": document.get("id"), "outputs": outputs}
    return Response(orjson.dumps(answer), media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
    )
