namespace OnnxLlm.Tests.Serving;

/// <summary>Bodies of <c>infer</c> from right to nonsense.</summary>
internal static class TensorFuzz
{
    private static readonly string[] Names = ["\"input_ids\"", "\"input_ids\"", "\"input_ids\"", "\"attention_mask\"", "\"\"", "null", "7", "\"\\ud800\""];
    private static readonly string[] Types = ["\"INT64\"", "\"INT64\"", "\"INT32\"", "\"FP16\"", "\"BYTES\"", "null", "[]"];
    private static readonly string[] Values = ["0", "1", "1", "5", "299", "300", "-1", "1.0", "0.5", "1e99", "9223372036854775807", "\"1\"", "null", "[1]", "{}"];

    public static string Body(Random random)
    {
        var tensors = Enumerable.Range(0, random.Next(4)).Select(_ => Tensor(random));
        var more = random.Next(4) == 0 ? $",\"outputs\":[{{\"name\":{Pick(random, ["\"logits\"", "\"last_logits\"", "\"x\"", "1"])}}}]" : "";
        return $"{{\"inputs\":[{string.Join(',', tensors)}]{more}}}";
    }

    private static string Tensor(Random random)
    {
        int rows = random.Next(3), columns = random.Next(4);
        var values = Enumerable.Range(0, Math.Max(0, rows * columns + (random.Next(5) == 0 ? random.Next(-1, 2) : 0))).Select(_ => random.Next(3) == 0 ? Pick(random, Values) : "1");
        var shape = random.Next(6) == 0 ? Pick(random, ["[]", "[1]", "[-1,1]", "[1,1,1]", "[2147483647,2]", "[1e20,1]", "\"x\"", "null"]) : $"[{rows},{columns}]";
        return $"{{\"name\":{Pick(random, Names)},\"shape\":{shape},\"datatype\":{Pick(random, Types)},\"data\":[{string.Join(',', values)}]}}";
    }

    private static string Pick(Random random, string[] from) => from[random.Next(from.Length)];
}
