using System.Text;

namespace OnnxLlm.Tests.Serving;

/// <summary>Request bodies from nearly right to nonsense: known fields with any value, then sometimes broken bytes.</summary>
internal static class RequestFuzz
{
    private static readonly string[] Fields =
    [
        "model", "prompt", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "min_p", "n", "stop", "seed", "stream", "stream_options",
        "presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias", "logprobs", "top_logprobs", "echo", "best_of", "suffix", "ignore_eos", "min_tokens",
        "stop_token_ids", "skip_special_tokens", "response_format", "tools", "tool_choice", "functions", "function_call", "modalities", "audio", "add_generation_prompt",
        "chat_template_kwargs", "cache_salt", "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "use_beam_search", "unknown",
        "instructions", "max_output_tokens", "previous_response_id", "text", "parallel_tool_calls", "metadata", "input", "encoding_format", "dimensions", "tokens", "add_special_tokens", "return_token_strs", "text_input", "parameters", "id", "inputs", "outputs",
    ];

    private static readonly string[] Strings =
        ["", "a", "org/toy", "json_object", "json_schema", "object", "array", "string", "integer", "base64", "#/$defs/a", "none", "text", "<|im_end|>", "\u0000", "é🎈", "\\ud800", "\\udc00x", "\\u0000\\uffff", "user", "assistant", "tool", "function", "function_call", "function_call_output", "\\\"", "stop stop stop"];

    /// <summary>What the routes that read JSON want at least.</summary>
    private const string Right = """
        "prompt":"Once","messages":[{"role":"user","content":"Once"}],"input":"Once","tokens":[5,6],"text_input":"Once","inputs":[{"name":"input_ids","shape":[1,2],"datatype":"INT64","data":[5,6]}],
        """;

    private static readonly string[] Numbers =
        ["0", "1", "-1", "2", "16", "16.0", "0.5", "-0.0", "1e3", "1e308", "1e999", "-1e999", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "2147483648", "1e-400", "3.0000000001"];

    /// <param name="route">Where it is sent; some routes read bodies of their own kind.</param>
    public static byte[] Body(Random random, string route)
    {
        if (route.EndsWith("/infer", StringComparison.Ordinal) && random.Next(2) == 0) return Encoding.UTF8.GetBytes(TensorFuzz.Body(random));
        var text = new StringBuilder("{");
        if (random.Next(20) > 0) text.Append("\"model\":\"org/toy\",");
        if (random.Next(4) > 0) text.Append(Right).Append(Limit(route)).Append(random.Next(12)).Append(',');
        if (random.Next(3) == 0) text.Append(ConstraintFuzz.Field(random)).Append(',');
        if (random.Next(6) == 0) text.Append(ConstraintFuzz.Tools(random)).Append(',');
        for (var i = random.Next(4); i > 0; i--) text.Append('"').Append(Pick(random, Fields)).Append("\":").Append(Value(random, 0)).Append(',');
        text.Append("\"\":0}");
        var bytes = Encoding.UTF8.GetBytes(text.ToString());
        return random.Next(8) == 0 ? Break(bytes, random) : bytes;
    }

    private static string Limit(string route) =>
        route.EndsWith("/chat/completions", StringComparison.Ordinal) ? "\"max_completion_tokens\":" : route.EndsWith("/responses", StringComparison.Ordinal) ? "\"max_output_tokens\":" : "\"max_tokens\":";

    private static string Value(Random random, int depth) => random.Next(depth > 4 ? 5 : 8) switch
    {
        0 => "null",
        1 => random.Next(2) == 0 ? "true" : "false",
        2 => Pick(random, Numbers),
        3 or 4 => $"\"{Pick(random, Strings)}\"",
        5 => $"[{string.Join(',', Enumerable.Range(0, random.Next(4)).Select(_ => Value(random, depth + 1)))}]",
        6 => $"{{{string.Join(',', Enumerable.Range(0, random.Next(4)).Select(_ => $"\"{Key(random)}\":{Value(random, depth + 1)}"))}}}",
        _ => $"{new string('[', 40 + random.Next(60))}1{new string(']', 40 + random.Next(60))}",
    };

    private static string Key(Random random) => random.Next(5) switch
    {
        0 => Pick(random, Fields),
        1 => Pick(random, Numbers),
        2 => Pick(random, Strings),
        _ => Pick(random, ["role", "content", "type", "text", "name", "include_usage", "json_schema", "schema", "strict", "json", "regex", "choice", "json_object", "tool_calls", "function", "arguments", "format", "temperature", "7"]),
    };

    private static byte[] Break(byte[] bytes, Random random)
    {
        for (var i = 1 + random.Next(3); i > 0; i--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        return random.Next(2) == 0 ? bytes : bytes[..random.Next(bytes.Length)];
    }

    private static string Pick(Random random, string[] from) => from[random.Next(from.Length)];
}
