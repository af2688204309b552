"""Original SAM2 checkpoints: what they become, and that our SAM2 path then computes what the original code computes."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import Sam2Config, Sam2ImageProcessor, Sam2Model

from geoagent.model import sam as sam_path
from geoagent.model.checkpoint import from_stock
from geoagent.model.sam_checkpoint import (
    SIZES,
    HieraSize,
    convert_checkpoint,
    convert_weights,
    is_original,
    load_original,
    read_original,
    recognise,
    sam2_config,
)
from geoagent.types import GeoAgentError, Prompts
from tools.convert_sam2 import main as convert_command

pytestmark = [pytest.mark.component, pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")]

SIDE, WIDTH = 128, 64
SMALL = HieraSize(width=16, heads=1, blocks=(1, 2, 2, 1), global_blocks=(4,), windows=(8, 4, 4, 2), background=(7, 7))


def original_model() -> nn.Module:
    """The ``sam2`` package's own classes at a small size, with every weight random."""
    from sam2.modeling.backbones.hieradet import Hiera
    from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder
    from sam2.modeling.position_encoding import PositionEmbeddingSine
    from sam2.modeling.sam2_base import SAM2Base

    trunk = Hiera(
        embed_dim=SMALL.width,
        num_heads=SMALL.heads,
        stages=SMALL.blocks,
        global_att_blocks=SMALL.global_blocks,
        window_spec=SMALL.windows,
        window_pos_embed_bkg_spatial_size=SMALL.background,
    )
    neck = FpnNeck(
        position_encoding=PositionEmbeddingSine(num_pos_feats=WIDTH),
        d_model=WIDTH,
        backbone_channel_list=trunk.channel_list,
        fpn_top_down_levels=[2, 3],
        fpn_interp_model="nearest",
    )
    model = SAM2Base(
        image_encoder=ImageEncoder(trunk=trunk, neck=neck, scalp=1),
        memory_attention=None,
        memory_encoder=None,
        image_size=SIDE,
        directly_add_no_mem_embed=True,
        use_high_res_features_in_sam=True,
        iou_prediction_use_sigmoid=True,
        use_obj_ptrs_in_encoder=True,
        proj_tpos_enc_in_obj_ptrs=True,
        no_obj_embed_spatial=True,
        pred_obj_scores=True,
        pred_obj_scores_mlp=True,
        use_mlp_for_obj_ptr_proj=True,
    )
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():  # position tables and the no-memory token start at zero, which would hide a mistake
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def small_config() -> Sam2Config:
    """The configuration of transformers for `original_model`."""
    config = sam2_config(SMALL)
    config.vision_config.fpn_hidden_size = WIDTH
    config.vision_config.backbone_config.image_size = [SIDE, SIDE]
    config.vision_config.backbone_feature_sizes = [[SIDE // cell, SIDE // cell] for cell in (4, 8, 16)]
    config.prompt_encoder_config.hidden_size = WIDTH
    config.prompt_encoder_config.image_size = SIDE
    config.mask_decoder_config.hidden_size = WIDTH
    return sam_path.prepare_sam(config)


@pytest.fixture(scope="module")
def original() -> nn.Module:
    pytest.importorskip("sam2")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)  # the package's own beginnings, whatever ran before
        return original_model()


@pytest.fixture(scope="module")
def checkpoint(original: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sam2") / "small.pt"
    torch.save({"model": original.state_dict()}, path)
    return path


@pytest.fixture(scope="module")
def ours(checkpoint: Path) -> Sam2Model:
    return load_original(checkpoint, small_config())


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """A landscape that is neither square nor of SAM2's size."""
    return np.random.default_rng(3).integers(0, 255, (90, 160, 3), dtype=np.uint8)


@pytest.fixture
def predictor(original: nn.Module, image: np.ndarray):
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    predictor = SAM2ImagePredictor(original)
    predictor._bb_feat_sizes = [(SIDE // cell, SIDE // cell) for cell in (4, 8, 16)]  # fixed to a side of 1024
    predictor.set_image(image)
    return predictor


def ours_predict(ours: Sam2Model, pixels: Tensor, prompts: Prompts, size: tuple[int, int]) -> sam_path.DecodedMasks:
    with torch.no_grad():
        features = sam_path.encode_images(ours, pixels)
        person = sam_path.stack_prompts([prompts], [size])
        assert person is not None
        sparse, dense = sam_path.embed_prompts(ours, person, features.size)
        return sam_path.decode_masks(ours, features, sparse, dense)


@pytest.mark.parametrize(
    ("prompts", "question"),
    [
        pytest.param(
            Prompts(points=((40.0, 70.0, True),)),
            {"point_coords": np.array([[40.0, 70.0]]), "point_labels": np.array([1])},
            id="point",
        ),
        pytest.param(
            Prompts(points=((40.0, 70.0, True), (120.5, 10.0, False))),
            {"point_coords": np.array([[40.0, 70.0], [120.5, 10.0]]), "point_labels": np.array([1, 0])},
            id="points",
        ),
        pytest.param(Prompts(boxes=((10.0, 20.0, 90.0, 60.0),)), {"box": np.array([10.0, 20.0, 90.0, 60.0])}, id="box"),
        pytest.param(
            Prompts(points=((40.0, 70.0, True),), boxes=((10.0, 20.0, 90.0, 80.0),)),
            {
                "point_coords": np.array([[40.0, 70.0]]),
                "point_labels": np.array([1]),
                "box": np.array([10.0, 20.0, 90.0, 80.0]),
            },
            id="point and box",
        ),
    ],
)
def test_our_path_equals_the_sam2_package(ours, predictor, image, prompts, question) -> None:
    mask, iou, low = predictor.predict(**question, multimask_output=False, return_logits=True)
    answer = ours_predict(ours, predictor._transforms(image)[None], prompts, image.shape[:2])
    torch.testing.assert_close(answer.logits[0].clamp(-32, 32), torch.from_numpy(low[0]), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(answer.iou, torch.from_numpy(iou), atol=1e-5, rtol=1e-4)
    stretched = nn.functional.interpolate(answer.logits[:, None], image.shape[:2], mode="bilinear")[0, 0].numpy()
    certain = np.abs(mask[0]) > 1e-3
    assert np.array_equal(stretched[certain] > 0, mask[0][certain] > 0)
    assert certain.mean() > 0.99 and 0.02 < (mask[0] > 0).mean() < 0.98, "an answer that says nothing proves nothing"


def test_a_drawn_mask_equals_the_sam2_package(ours, predictor, image) -> None:
    drawn = np.zeros(image.shape[:2], dtype=np.bool_)
    drawn[20:70, 40:100] = True
    prompts = Prompts(points=((60.0, 40.0, True),), masks=(drawn,))
    person = sam_path.stack_prompts([prompts], [image.shape[:2]])
    assert person is not None and person.masks is not None
    # "surely" and "surely not", as logits on SAM2's grid for mask prompts
    grid = nn.functional.interpolate(person.masks, (SIDE // 4, SIDE // 4), mode="bilinear", align_corners=False)
    _, iou, low = predictor.predict(
        point_coords=np.array([[60.0, 40.0]]),
        point_labels=np.array([1]),
        mask_input=(grid * 20 - 10)[0].numpy(),
        multimask_output=False,
        return_logits=True,
    )
    answer = ours_predict(ours, predictor._transforms(image)[None], prompts, image.shape[:2])
    torch.testing.assert_close(answer.logits[0].clamp(-32, 32), torch.from_numpy(low[0]), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(answer.iou, torch.from_numpy(iou), atol=1e-5, rtol=1e-4)


def test_the_object_score_equals_the_sam2_package(original, ours, predictor, image) -> None:
    points, labels = torch.tensor([[[32.0, 99.0]]]), torch.tensor([[1]])
    with torch.no_grad():
        features = predictor._features
        sparse, dense = original.sam_prompt_encoder(points=(points, labels), boxes=None, masks=None)
        *_, expected = original.sam_mask_decoder(
            image_embeddings=features["image_embed"],
            image_pe=original.sam_prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
            repeat_image=False,
            high_res_features=features["high_res_feats"],
        )
    height, width = image.shape[:2]
    point = Prompts(points=((32.0 / SIDE * width, 99.0 / SIDE * height, True),))
    answer = ours_predict(ours, predictor._transforms(image)[None], point, (height, width))
    torch.testing.assert_close(answer.objectness, expected[:, 0], atol=1e-5, rtol=1e-4)


def test_videos_are_left_out_and_nothing_else(original: nn.Module, ours: Sam2Model) -> None:
    weights = original.state_dict()
    converted = convert_weights(weights)
    assert set(converted) == set(ours.state_dict())
    kept = sum(value.numel() for value in converted.values())
    shared = converted["shared_image_embedding.positional_embedding"].numel()
    prefixes = ("image_encoder.", "sam_", "no_mem_embed")
    assert kept - shared == sum(value.numel() for name, value in weights.items() if name.startswith(prefixes))


@pytest.mark.slow
@pytest.mark.parametrize("generation", ["sam2", "sam2.1"])
@pytest.mark.parametrize(("name", "short"), [("tiny", "t"), ("small", "s"), ("base+", "b+"), ("large", "l")])
def test_sizes_are_those_of_the_published_configurations(name: str, short: str, generation: str) -> None:
    """The image encoder that the package's own configuration file builds is recognised and takes the weights."""
    sam2 = pytest.importorskip("sam2")
    from hydra.utils import instantiate
    from omegaconf import OmegaConf
    from sam2.modeling.backbones.hieradet import Hiera

    file = Path(sam2.__file__).parent / "configs" / generation / f"{generation}_hiera_{short}.yaml"
    published = OmegaConf.load(file).model.image_encoder
    trunk: Hiera = instantiate(published.trunk)
    size = SIZES[name]
    heads = [trunk.blocks[end].attn.num_heads for end in trunk.stage_ends]
    config = sam2_config(size).vision_config
    assert heads == config.backbone_config.num_attention_heads_per_stage
    assert trunk.channel_list == list(published.neck.backbone_channel_list) == config.backbone_channel_list
    assert tuple(trunk.window_spec) == size.windows
    assert tuple(trunk.global_att_blocks) == size.global_blocks
    assert tuple(trunk.window_pos_embed_bkg_spatial_size) == size.background
    assert recognise({f"image_encoder.trunk.{key}": value for key, value in trunk.state_dict().items()}) == name
    with torch.device("meta"):
        model = Sam2Model(sam2_config(size))
    windows = [block.window_size for block in model.vision_encoder.backbone.blocks]
    assert windows == [block.window_size for block in trunk.blocks]
    shapes = {key: value.shape for key, value in model.vision_encoder.backbone.state_dict().items()}
    prefixed = {f"image_encoder.trunk.{key}": value for key, value in trunk.state_dict().items()}
    points = {f"sam_prompt_encoder.point_embeddings.{i}.weight": torch.zeros(1, 256) for i in range(4)}
    table = {"sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix": torch.zeros(2, 128)}
    converted = convert_weights({**prefixed, **points, **table})
    encoder = {k.removeprefix("vision_encoder.backbone."): v.shape for k, v in converted.items() if "backbone" in k}
    assert encoder == shapes


def test_a_converted_folder_is_read_by_transformers(checkpoint: Path, ours: Sam2Model, tmp_path: Path) -> None:
    convert_checkpoint(checkpoint, tmp_path, small_config())
    again = Sam2Model.from_pretrained(tmp_path)
    for name, value in again.state_dict().items():
        assert torch.equal(value, ours.state_dict()[name]), name
    processor = Sam2ImageProcessor.from_pretrained(tmp_path)
    pixels = processor(np.zeros((30, 50, 3), dtype=np.uint8), return_tensors="pt").pixel_values
    assert pixels.shape == (1, 3, SIDE, SIDE)
    assert not list(tmp_path.glob("*.bin"))


@pytest.mark.slow
def test_the_command_converts_a_checkpoint_of_full_size(
    image: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    stock_folders: dict[str, tuple[Path, Path]],
) -> None:
    """SAM2.1 tiny as published, 1024 pixels and video parts included, with random weights: file, folder, same mask."""
    from sam2.build_sam import build_sam2
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    torch.manual_seed(5)
    published = build_sam2("configs/sam2.1/sam2.1_hiera_t.yaml", device="cpu", apply_postprocessing=False)
    torch.save({"model": published.state_dict()}, tmp_path / "sam2.1_hiera_tiny.pt")
    assert convert_command([str(tmp_path / "sam2.1_hiera_tiny.pt"), str(tmp_path / "tiny")]) == 0
    assert "M parameters" in capsys.readouterr().out
    folder = tmp_path / "tiny"
    ours = Sam2Model.from_pretrained(folder, config=sam_path.prepare_sam(Sam2Config.from_pretrained(folder)))
    predictor = SAM2ImagePredictor(published)
    predictor.set_image(image)
    _, iou, low = predictor.predict(
        point_coords=np.array([[40.0, 70.0]]), point_labels=np.array([1]), multimask_output=False
    )
    point = Prompts(points=((40.0, 70.0, True),))
    answer = ours_predict(ours, predictor._transforms(image)[None], point, image.shape[:2])
    torch.testing.assert_close(answer.logits[0].clamp(-32, 32), torch.from_numpy(low[0]), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(answer.iou, torch.from_numpy(iou), atol=1e-5, rtol=1e-4)
    # The file itself may stand where a SAM2 folder does.
    model, processor = from_stock(str(stock_folders["qwen3_vl"][0]), str(tmp_path / "sam2.1_hiera_tiny.pt"))
    again = ours_predict(model.sam, predictor._transforms(image)[None], point, image.shape[:2])
    torch.testing.assert_close(again.logits, answer.logits)
    assert processor.sam_processor.size["height"] == 1024


def test_dtype_of_the_weights(checkpoint: Path) -> None:
    model = load_original(checkpoint, small_config(), dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert not model.training


class Intruder:
    """A pickle that would run code where it is read."""

    def __reduce__(self):
        return print, ("executed",)


def test_bad_files_are_named_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing, text, empty, evil, other = (tmp_path / f"{name}.pt" for name in ("no", "text", "empty", "evil", "other"))
    text.write_text("<html>not found</html>")
    empty.touch()
    evil.write_bytes(pickle.dumps({"model": Intruder()}, protocol=2))
    torch.save({"state": {}}, other)
    for path in (missing, text, empty, evil, other):
        with pytest.raises(GeoAgentError, match=path.name):
            read_original(path)
    assert "executed" not in capsys.readouterr().out


def test_a_foreign_or_incomplete_model_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    weights = read_original(checkpoint)
    with pytest.raises(GeoAgentError, match=r"16 channels and .1, 2, 2, 1. blocks"):
        load_original(checkpoint)
    with pytest.raises(GeoAgentError, match="not one of SAM2"):
        recognise({"fc.weight": torch.zeros(1)})
    del weights["sam_mask_decoder.iou_token.weight"]
    torch.save({"model": weights}, tmp_path / "part.pt")
    with pytest.raises(
        GeoAgentError, match=r"part\.pt does not fit .* 1 tensors differ, first mask_decoder\.iou_token"
    ):
        load_original(tmp_path / "part.pt", small_config())


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert_command([str(tmp_path / "missing.pt"), str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and "missing.pt does not exist" in captured.err
    assert not (tmp_path / "out").exists()


def test_original_files_are_told_from_folders_and_hub_ids(tmp_path: Path) -> None:
    assert is_original("sam2.1_hiera_large.pt")
    assert not is_original("facebook/sam2.1-hiera-large")
    assert not is_original(tmp_path)
