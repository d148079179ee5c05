"""Small valid files of every format, for the importer tests.

Shapes follow the formats' own documentation and code.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from isocost.importers import import_path

ALL_UNKNOWN = frozenset({"model", "task", "task_version", "prompt", "sampling"})


def _write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def _lines(path: Path, values: list[Any]) -> Path:
    return _write(path, "".join(json.dumps(value) + "\n" for value in values))


def counts(folder: Path) -> Path:
    return _lines(
        folder / "counts.jsonl",
        [{"id": "a", "c": 1, "n": 4, "source": "b", "cluster": "s"}, {"id": "b", "c": 0, "n": 2}],
    )


def gsm8k_solutions(folder: Path) -> Path:
    answers = {
        "m1": {"is_correct": True, "solution": "so A: 3"},
        "m2": {"is_correct": False, "solution": "A: 4"},
    }
    return _lines(
        folder / "solutions.jsonl", [{"question": "1+2?", "ground_truth": "#### 3", **answers}]
    )


def cruxeval_scored(folder: Path) -> Path:
    value = {
        "raw_generations": {"sample_0": ["f(1)", "f(2)"], "sample_10": ["f(3)", "f(3)"]},
        "raw_scored_generations": {"sample_0": [True, False], "sample_10": [False, False]},
        "pass_at_1": 25.0,
    }
    return _write(folder / "sample_scored_m_temp0.2_input.json", value)


def lm_eval(folder: Path) -> Path:
    stamp = "2026-01-21T03-44-18.458309"
    document = {
        "results": {
            "t": {"alias": "t", "exact_match,strict": 0.5, "exact_match_stderr,strict": "N/A"}
        },
        "configs": {
            "t": {
                "doc_to_text": "Q {{q}}",
                "generation_kwargs": {"temperature": 0.7},
                "repeats": 2,
                "num_fewshot": 0,
            }
        },
        "versions": {"t": 1.0},
        "n-shot": {"t": 0},
        "n-samples": {"t": {"original": 2, "effective": 2}},
        "model_name": "m",
    }
    _write(folder / f"results_{stamp}.json", document)
    rows = [
        {
            "doc_id": doc,
            "doc": {"question": f"q{doc}"},
            "target": "3",
            "arguments": {"gen_args_0": {"arg_0": "p", "arg_1": {"temperature": 0.7}}},
            "resps": [["is 3", "is 4"]],
            "filtered_resps": ["3"],
            "filter": name,
            "metrics": ["exact_match"],
            "exact_match": 1.0,
        }
        for doc in (0, 1)
        for name in ("strict", "flexible")
    ]
    _lines(folder / f"samples_t_{stamp}.jsonl", rows)
    return folder


def inspect_log() -> dict[str, Any]:
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "task": "t",
            "task_version": 1,
            "model": "m",
            "model_generate_config": {"temperature": 1.0, "max_connections": 4},
        },
        "plan": {"steps": [{"solver": "generate", "params": {}}], "config": {}},
        "results": {
            "scores": [
                {"name": "match", "metrics": {"accuracy": {"name": "accuracy", "value": 0.5}}}
            ]
        },
        "samples": [
            {
                "id": 1,
                "epoch": epoch,
                "input": "q",
                "target": "Yes",
                "output": {
                    "choices": [
                        {
                            "message": {"content": "Yes"},
                            "stop_reason": "max_tokens",
                            "logprobs": {"content": [{"logprob": -0.5}]},
                        }
                    ],
                    "usage": {
                        "input_tokens": 5,
                        "output_tokens": 2,
                        "input_tokens_cache_read": 1,
                        "reasoning_tokens": 0,
                    },
                    "time": 0.25,
                },
                "scores": {"match": {"value": value, "answer": "Yes"}},
            }
            for epoch, value in ((1, "C"), (2, "P"))
        ],
    }


def inspect_ai(folder: Path) -> Path:
    return _write(folder / "log.json", inspect_log())


def inspect_eval(folder: Path, members: dict[str, str] | None = None) -> Path:
    log = inspect_log()
    samples = log.pop("samples")
    path = folder / "log.eval"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps(log))
        for sample in samples:
            archive.writestr(
                f"samples/{sample['id']}_epoch_{sample['epoch']}.json", json.dumps(sample)
            )
        for name, text in (members or {}).items():
            archive.writestr(name, text)
    return path


def helm(folder: Path) -> Path:
    adapter = {
        "method": "generation",
        "model": "org/m",
        "temperature": 0.0,
        "max_tokens": 5,
        "num_outputs": 1,
    }
    _write(folder / "run_spec.json", {"name": "mmlu:subject=x,model=m", "adapter_spec": adapter})
    state = {
        "instance": {
            "id": "id1",
            "split": "test",
            "input": {"text": "q"},
            "references": [{"output": {"text": "yes"}, "tags": ["correct"]}],
        },
        "train_trial_index": 0,
        "output_mapping": {"A": "yes"},
        "result": {
            "success": True,
            "completions": [
                {
                    "text": " A",
                    "logprob": -1.5,
                    "tokens": [{"text": " A", "logprob": -1.5}],
                    "finish_reason": {"reason": "length"},
                }
            ],
            "cached": False,
            "request_time": 0.5,
            "request_datetime": 1751729998,
        },
    }
    cached = {
        **state,
        "instance": {**state["instance"], "id": "id2"},
        "result": {**state["result"], "cached": True},
    }
    _write(folder / "scenario_state.json", {"request_states": [state, cached]})
    names = {"exact_match": 1.0, "num_prompt_tokens": 20, "num_output_tokens": 1}
    stats = [
        {"name": {"name": name, "split": "test"}, "count": 1, "mean": mean}
        for name, mean in names.items()
    ]
    _write(
        folder / "per_instance_stats.json",
        [{"instance_id": name, "train_trial_index": 0, "stats": stats} for name in ("id1", "id2")],
    )
    total = {"name": {"name": "training_energy_cost", "split": "test"}, "count": 1, "mean": 2.0}
    _write(folder / "stats.json", [*stats, total])
    return folder


def vllm_result(**more: Any) -> dict[str, Any]:
    return {
        "date": "20261101-000000",
        "backend": "openai-chat",
        "model_id": "m",
        "num_prompts": 3,
        "request_rate": "inf",
        "max_concurrency": 2,
        "duration": 2.0,
        "completed": 2,
        "failed": 1,
        "total_output_tokens": 12,
        "mean_ttft_ms": 15.0,
        "p99_e2el_ms": 250.0,
        "latencies": [0.2, 0.25, 0.0],
        "queue_times": [0.0, 0.1, 0.0],
        **more,
    }


DETAIL = {
    "input_lens": [10, 11, 12],
    "output_lens": [6, 6, 0],
    "ttfts": [0.01, 0.02, 0.0],
    "itls": [[0.02, 0.04], [0.03], []],
    "start_times": [100.0, 100.1, 100.2],
    "generated_texts": ["a", "b", ""],
    "errors": ["", "", "Connection reset"],
}


def vllm_bench(folder: Path) -> Path:
    return _write(folder / "result.json", vllm_result(**DETAIL))


def guidellm(folder: Path) -> Path:
    group = {
        "mean": 11.0,
        "median": 11.0,
        "std_dev": 1.0,
        "min": 10.0,
        "max": 12.0,
        "count": 2,
        "percentiles": {"p50": 11.0},
    }
    empty = {
        "mean": 0.0,
        "median": 0.0,
        "std_dev": 0.0,
        "min": 0.0,
        "max": 0.0,
        "count": 0,
        "percentiles": {},
    }
    request = {
        "request_id": "r1",
        "output": "hello",
        "prompt_tokens": 32,
        "output_tokens": 8,
        "time_to_first_token_ms": 11.0,
        "inter_token_latency_ms": 2.0,
        "request_latency": 0.025,
        "request_start_time": 1786678148.25,
        "request_end_time": 1786678148.275,
        "info": {"timings": {"queued": 1.0, "dequeued": 1.5}},
    }
    benchmark = {
        "config": {"strategy": {"type_": "constant", "rate": 2.0}, "backend": {"model": "m"}},
        "metrics": {
            "time_to_first_token_ms": {"successful": group, "errored": empty},
            "request_latency": {"successful": empty},
        },
        "requests": {
            "successful": [request],
            "errored": [{"request_id": "r2", "info": {"error": "500"}}],
            "incomplete": [],
            "total": None,
        },
    }
    return _write(
        folder / "report.json",
        {"metadata": {"version": 2}, "config": {}, "benchmarks": [benchmark]},
    )


def llmperf(folder: Path) -> Path:
    good = {
        "error_code": None,
        "error_msg": "",
        "inter_token_latency_s": 0.005,
        "ttft_s": 0.3,
        "end_to_end_latency_s": 0.9,
        "number_output_tokens": 150,
        "number_input_tokens": 550,
    }
    return _write(
        folder / "individual.json",
        [good, {**good, "error_code": -100, "error_msg": "too few", "ttft_s": 0.0}],
    )


def aiperf(folder: Path) -> Path:
    metadata = {
        "session_num": 0,
        "conversation_id": "c0",
        "request_start_ns": 1759813207532900363,
        "request_end_ns": 1759813207838764604,
    }
    metrics = {
        "time_to_first_token": {"value": 255.5, "unit": "ms"},
        "request_latency": {"value": 297.5, "unit": "ms"},
        "inter_token_latency": {"value": 5.25, "unit": "ms"},
        "input_sequence_length": {"value": 550, "unit": "tokens"},
        "output_sequence_length": {"value": 9, "unit": "tokens"},
    }
    failed = {
        "metadata": metadata,
        "metrics": {"error_isl": {"value": 1, "unit": "tokens"}},
        "error": {"code": 499, "type": "Cancelled"},
    }
    _lines(
        folder / "profile_export.jsonl",
        [{"metadata": metadata, "metrics": metrics, "error": None}, failed],
    )
    reading = {"nvidia_power_usage": 350.5, "nvidia_energy_consumption": 0.25}
    _lines(
        folder / "gpu_telemetry_export.jsonl",
        [{"timestamp_ns": 1759813207532900363, "gpu_uuid": "GPU-1", "telemetry_data": reading}],
    )
    graded = {
        "session_num": 0,
        "conversation_id": "c0",
        "task": "gsm8k",
        "grader_name": "math",
        "passed": True,
        "expected": "3",
    }
    _lines(
        folder / "accuracy_export.jsonl",
        [{**graded, "actual": "3", "model_output": "A: 3", "timestamp_ns": 1759813207838764604}],
    )
    _write(
        folder / "profile_export_aiperf.json",
        {"input_config": {"models": {"items": [{"name": "m"}]}, "endpoint": {"urls": ["u"]}}},
    )
    return folder


def ml_energy(folder: Path) -> Path:
    request = {
        "prompt": "q",
        "output_text": "a",
        "input_len": 5,
        "output_len": 10,
        "latency": 0.5,
        "ttft": 0.1,
        "itl": [0.02, 0.04],
        "success": True,
        "energy": 12.5,
    }
    failed = {
        **request,
        "success": False,
        "error": "timeout",
        "latency": 0.0,
        "ttft": 0.0,
        "energy": 0.0,
    }
    value = {
        "model_id": "m",
        "gpu_model": "H100",
        "num_gpus": 1,
        "max_num_seqs": 8,
        "max_output_tokens": 64,
        "duration": 3.0,
        "steady_state_energy": 500.0,
        "steady_state_energy_per_token": 1.25,
        "completed": 1,
        "results": [request, failed],
        "timeline": {
            "power": {"device_instant": {"0": [[1700000000.0, 300.0], [1700000001.0, 310.0]]}}
        },
    }
    return _write(folder / "results.json", value)


def sglang_bench(folder: Path) -> Path:
    result = {
        "backend": "sglang",
        "dataset_name": "random",
        "request_rate": 8.0,
        "max_concurrency": None,
        "duration": 2.0,
        "completed": 2,
    }
    server = {"model_path": "m", "tp_size": 2, "port": 30000, "version": "0.5"}
    detail = {
        name: DETAIL[name]
        for name in ("input_lens", "output_lens", "ttfts", "itls", "generated_texts", "errors")
    }
    return _lines(
        folder / "run.jsonl",
        [result | {"server_info": server, "mean_ttft_ms": 15.0} | detail, result],
    )


def vllm_throughput(folder: Path) -> Path:
    numbers = {
        "elapsed_time": 10.0,
        "num_requests": 5,
        "total_num_tokens": 500,
        "requests_per_second": 0.5,
        "tokens_per_second": 50.0,
    }
    return _write(folder / "throughput.json", numbers)


def vllm_latency(folder: Path) -> Path:
    return _write(
        folder / "latency.json",
        {"avg_latency": 1.5, "latencies": [1.0, 2.0], "percentiles": {"50": 1.5, "99": 1.99}},
    )


def ml_energy_leaderboard(folder: Path) -> Path:
    one = {
        "gpu_model": "B200",
        "num_gpus": 1,
        "max_num_seqs": 8,
        "avg_power_watts": 293.9,
        "energy_per_token_joules": 1.17,
    }
    one |= {
        "median_itl_ms": 32.5,
        "output_throughput_tokens_per_sec": 251.0,
        "parallelization": {"tensor_parallel": 1, "notes": ""},
    }
    return _write(
        folder / "m__t.json",
        {"model_id": "m", "task": "t", "weight_precision": "fp8", "configurations": [one]},
    )


def nvidia_smi(folder: Path) -> Path:
    rows = [
        f"2026/03/07 00:20:{s:02}.071, {g}, NVIDIA H100, {100 + 100 * g}.00 W, 345 MHz"
        for s in range(8)
        for g in range(2)
    ]
    return _write(
        folder / "power.csv",
        "\n".join(["timestamp, index, name, power.draw [W], clocks.sm [MHz]", *rows]) + "\n",
    )


def dcgm(folder: Path) -> Path:
    rows = [
        f"GPU {g}     {100 + 100 * g}.0   {10**6 + s * 10**5 * (g + 1)}   1410"
        for s in range(8)
        for g in range(2)
    ]
    return _write(
        folder / "dmon.txt",
        "\n".join(["#Entity   POWER   TOTEC   SMCLK", "ID        W       mJ      MHz", *rows])
        + "\n",
    )


def codecarbon(folder: Path) -> Path:
    line = {
        "timestamp": "2026-05-30T11:03:37",
        "project_name": "p",
        "run_id": "r",
        "duration": "10.0",
        "emissions": "1e-5",
    }
    line |= {
        "cpu_energy": "0.0001",
        "gpu_energy": "0.0009",
        "energy_consumed": "0.001",
        "gpu_count": "1",
        "gpu_model": "H100",
    }
    return _write(folder / "emissions.csv", ",".join(line) + "\n" + ",".join(line.values()) + "\n")


def evalscope(folder: Path) -> Path:
    output = {
        "model": "m",
        "choices": [{"message": {"content": "ANSWER: A"}, "stop_reason": "stop"}],
        "usage": {"input_tokens": 5, "output_tokens": 3},
        "time": 0.75,
        "perf_metrics": {"latency": 0.5, "ttft": 0.1},
    }
    _lines(
        folder / "predictions/m/arc.jsonl",
        [{"index": index, "model": "m", "model_output": output} for index in (0, 1)],
    )
    reviews = [
        {
            "index": index,
            "target": "A",
            "sample_score": {
                "score": {"value": {"acc": acc}, "extracted_prediction": "A"},
                "sample_id": index,
                "group_id": 0,
            },
        }
        for index, acc in ((0, 1.0), (1, 0.0))
    ]
    _lines(folder / "reviews/m/arc.jsonl", reviews)
    return folder


def large_language_monkeys(folder: Path) -> Path:
    text = "prompt: 'Q: 1+2'\nquestion: 1+2\nsamples:\n- so 3\n- so 4\ngt_answer: '3'\nis_corrects:\n- true\n- false\n"
    return _write(folder / "problem_7.yaml", text)


def mlperf_power(folder: Path) -> Path:
    seconds = "".join(
        f"Time,09-01-2025 10:00:{second:02d}.000,Watts,{100 + second}.0,Volts,230.0,Amps,0.4,PF,0.9,Mark,run_1\n"
        for second in range(10)
    )
    _write(folder / "spl.txt", seconds + "Time,broken\n")
    events = [("power_begin", "09-01-2025 10:00:02.000"), ("power_end", "09-01-2025 10:00:06.000")]
    _write(
        folder / "mlperf_log_detail.txt",
        "".join(f':::MLLOG {{"key": "{key}", "value": "{value}"}}\n' for key, value in events),
    )
    return folder


def every_eval_ever(folder: Path) -> Path:
    aggregate = {
        "schema_version": "0.3.0",
        "evaluation_id": "t/m/1",
        "model_info": {"name": "m", "id": "org/m", "additional_details": {}},
        "evaluation_results": [
            {
                "evaluation_result_id": "t#acc",
                "evaluation_name": "t",
                "metric_config": {"metric_name": "Accuracy", "lower_is_better": False},
                "score_details": {"score": 1.0},
                "generation_config": {
                    "generation_args": {"temperature": 0.5, "prompt_template": "cot"}
                },
            }
        ],
    }
    _write(folder / "eval.json", aggregate)
    instance = {
        "schema_version": "0.3.0",
        "evaluation_id": "t/m/1",
        "model_id": "org/m",
        "evaluation_name": "t",
        "evaluation_result_id": "t#acc",
        "sample_id": "s1",
        "interaction_type": "single_turn",
        "input": {"raw": "q", "reference": ["3"]},
        "output": {"raw": ["A: 3"]},
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": "3",
                "extraction_method": "regex",
                "is_terminal": True,
            }
        ],
        "evaluation": {"score": 1.0, "is_correct": True},
        "token_usage": {"input_tokens": 4, "output_tokens": 2, "total_tokens": 6},
        "performance": {"latency_ms": 250.0, "time_to_first_token_ms": 50.0},
        "metadata": {"sample_index": "3", "energy_j": "1.5", "energy_method": "nvml_counter"},
    }
    _lines(folder / "eval_samples.jsonl", [instance])
    return folder


GENERIC_MAPPING = {
    "columns": {
        "problem": "id",
        "sample_index": "k",
        "model": "model",
        "output": "text",
        "reference": "ref",
        "correct": "ok",
        "output_tokens": "tokens",
        "latency": {"column": "ms", "unit": "ms"},
        "energy": {"column": "wh", "unit": "Wh"},
    },
    "latency_meaning": "client end to end",
    "energy_method": "nvml_counter",
}
GENERIC_ROWS = [
    {
        "id": "a",
        "k": 0,
        "model": "m",
        "text": "so 3",
        "ref": "3",
        "ok": True,
        "tokens": 12,
        "ms": 1500.5,
        "wh": 0.5,
    },
    {
        "id": "a",
        "k": 1,
        "model": "m",
        "text": "so 4",
        "ref": "3",
        "ok": False,
        "tokens": -1,
        "ms": -1,
        "wh": None,
    },
]


def generic(folder: Path) -> Path:
    return _lines(folder / "table.jsonl", GENERIC_ROWS)


SAMPLES = {
    "aiperf": aiperf,
    "codecarbon": codecarbon,
    "counts": counts,
    "cruxeval_scored": cruxeval_scored,
    "dcgm": dcgm,
    "evalscope": evalscope,
    "every_eval_ever": every_eval_ever,
    "generic": generic,
    "gsm8k_solutions": gsm8k_solutions,
    "guidellm": guidellm,
    "helm": helm,
    "inspect_ai": inspect_ai,
    "large_language_monkeys": large_language_monkeys,
    "llmperf": llmperf,
    "lm_eval": lm_eval,
    "ml_energy": ml_energy,
    "ml_energy_leaderboard": ml_energy_leaderboard,
    "mlperf_power": mlperf_power,
    "nvidia_smi": nvidia_smi,
    "sglang_bench": sglang_bench,
    "vllm_bench": vllm_bench,
    "vllm_latency": vllm_latency,
    "vllm_throughput": vllm_throughput,
}


def import_sample(name: str, path: Path, lake: Path, **more: Any):
    """Imports with everything unknown that the file does not say."""
    mapping = {"mapping": GENERIC_MAPPING} if name == "generic" else {}
    return import_path(name, path, lake, **{"unknown": ALL_UNKNOWN, **mapping, **more})
