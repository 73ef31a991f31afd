namespace OnnxLlm.Serving.Api;

/// <summary>JSON schemas of the bodies, for the document at /openapi.json. Fields beyond these are ignored or refused, see the how-to.</summary>
internal static class BodySchemas
{
    private const string Sampling = """
        "n":{"type":"integer","minimum":1},"stream":{"type":"boolean"},"temperature":{"type":"number","minimum":0,"maximum":2},"top_p":{"type":"number","minimum":0,"maximum":1},
        "top_k":{"type":"integer"},"min_p":{"type":"number","minimum":0,"maximum":1},"presence_penalty":{"type":"number","minimum":-2,"maximum":2},
        "frequency_penalty":{"type":"number","minimum":-2,"maximum":2},"repetition_penalty":{"type":"number"},"logit_bias":{"type":"object"},"seed":{"type":"integer"},
        "stop":{"type":["string","array"]},"response_format":{"type":"object"},"structured_outputs":{"type":"object"},"priority":{"type":"integer","minimum":0},"cache_salt":{"type":"string"},
        "stream_options":{"type":"object","properties":{"include_usage":{"type":"boolean"}}},"min_tokens":{"type":"integer","minimum":0},"ignore_eos":{"type":"boolean"},
        "stop_token_ids":{"type":"array","items":{"type":"integer","minimum":0}},"skip_special_tokens":{"type":"boolean"}
        """;

    public const string Completion = $$$"""
        {"type":"object","required":["model"],"properties":{"model":{"type":"string"},"prompt":{"type":["string","array"]},"max_tokens":{"type":"integer"},"echo":{"type":"boolean"},"logprobs":{"type":"integer"},{{{Sampling}}} } }
        """;

    public const string Chat = $$$"""
        {"type":"object","required":["model","messages"],"properties":{"model":{"type":"string"},"messages":{"type":"array","items":{"type":"object"}},"tools":{"type":"array","items":{"type":"object"}},"tool_choice":{"type":["string","object"]},"parallel_tool_calls":{"type":"boolean"},"max_completion_tokens":{"type":"integer"},"max_tokens":{"type":"integer"},"add_generation_prompt":{"type":"boolean"},
        "logprobs":{"type":"boolean"},"top_logprobs":{"type":"integer"},{{{Sampling}}} } }
        """;

    public const string Respond = $$$"""
        {"type":"object","required":["model","input"],"properties":{"model":{"type":"string"},"input":{"type":["string","array"]},"instructions":{"type":"string"},"max_output_tokens":{"type":"integer","minimum":1},"text":{"type":"object"},
        "tools":{"type":"array","items":{"type":"object"}},"tool_choice":{"type":["string","object"]},"parallel_tool_calls":{"type":"boolean"},{{{Sampling}}} } }
        """;

    public const string Generate = """{"type":"object","required":["text_input"],"properties":{"text_input":{"type":"string"},"parameters":{"type":"object"}}}""";

    public const string Infer = """
        {"type":"object","required":["inputs"],"properties":{"id":{"type":"string"},"parameters":{"type":"object"},
        "inputs":{"type":"array","items":{"type":"object","required":["name","shape","datatype","data"],"properties":{"name":{"enum":["input_ids","attention_mask"]},"shape":{"type":"array","items":{"type":"integer"}},"datatype":{"enum":["INT64","INT32"]},"data":{"type":"array"}}}},
        "outputs":{"type":"array","items":{"type":"object","required":["name"],"properties":{"name":{"enum":["logits","last_logits"]}}}}}}
        """;

    public const string Tokenize = """{"type":"object","properties":{"model":{"type":"string"},"prompt":{"type":"string"},"messages":{"type":"array","items":{"type":"object"}},"return_token_strs":{"type":"boolean"}}}""";

    public const string Detokenize = """{"type":"object","required":["tokens"],"properties":{"model":{"type":"string"},"tokens":{"type":"array","items":{"type":"integer"}}}}""";

    public const string Moderate = """{"type":"object","required":["input"],"properties":{"model":{"type":"string"},"input":{"type":["string","array"]}}}""";

    public const string FillMask = """{"type":"object","required":["model","input"],"properties":{"model":{"type":"string"},"input":{"type":["string","array"],"items":{"type":"string"}},"top_k":{"type":"integer","minimum":1,"maximum":100}}}""";

    public const string Classify = """{"type":"object","required":["model","input"],"properties":{"model":{"type":"string"},"input":{"type":["string","array"],"items":{"type":"string"}},"top_k":{"type":"integer","minimum":1}}}""";

    public const string Seq2Seq = """
        {"type":"object","required":["model","input"],"properties":{"model":{"type":"string"},"input":{"type":["string","array"],"items":{"type":"string"}},"max_tokens":{"type":"integer","minimum":1},
        "temperature":{"type":"number","minimum":0,"maximum":2},"top_p":{"type":"number","minimum":0,"maximum":1},"top_k":{"type":"integer"},"min_p":{"type":"number","minimum":0,"maximum":1},
        "seed":{"type":"integer"},"stop":{"type":["string","array"]}}}
        """;

    public const string Embed = """
        {"type":"object","required":["model","input"],"properties":{"model":{"type":"string"},"input":{"type":["string","array"]},"encoding_format":{"enum":["float","base64"]},"dimensions":{"type":"integer"}}}
        """;
}
