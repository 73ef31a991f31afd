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
        "chat_template_kwargs", "cache_salt", "structured_outputs", "use_beam_search", "unknown",
    ];

    private static readonly string[] Strings =
        ["", "a", "org/toy", "none", "text", "<|im_end|>", "\u0000", "é🎈", "\\ud800", "\\udc00x", "\\u0000\\uffff", "user", "assistant", "\\\"", "stop stop stop"];

    private static readonly string[] Numbers =
        ["0", "1", "-1", "2", "16", "16.0", "0.5", "-0.0", "1e3", "1e308", "1e999", "-1e999", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "2147483648", "1e-400", "3.0000000001"];

    public static byte[] Body(Random random)
    {
        var text = new StringBuilder("{");
        if (random.Next(20) > 0) text.Append("\"model\":\"org/toy\",");
        if (random.Next(4) > 0) text.Append("\"prompt\":\"Once\",\"messages\":[{\"role\":\"user\",\"content\":\"Once\"}],\"max_completion_tokens\":2,");
        for (var i = random.Next(4); i > 0; i--) text.Append('"').Append(Pick(random, Fields)).Append("\":").Append(Value(random, 0)).Append(',');
        text.Append("\"\":0}");
        var bytes = Encoding.UTF8.GetBytes(text.ToString());
        return random.Next(8) == 0 ? Break(bytes, random) : bytes;
    }

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
        _ => Pick(random, ["role", "content", "type", "text", "name", "include_usage", "json_schema", "tool_calls", "7"]),
    };

    private static byte[] Break(byte[] bytes, Random random)
    {
        for (var i = 1 + random.Next(3); i > 0; i--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        return random.Next(2) == 0 ? bytes : bytes[..random.Next(bytes.Length)];
    }

    private static string Pick(Random random, string[] from) => from[random.Next(from.Length)];
}
