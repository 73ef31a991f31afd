using System.Text.Json;

namespace OnnxLlm.Benchmarks.Measuring;

/// <summary>Time of one operator in a profile of ONNX Runtime, summed over its nodes and runs.</summary>
internal sealed record OperatorTime(string Operator, int Calls, double Milliseconds);

/// <summary>Reads the JSON trace that ONNX Runtime's profiler writes; only kernel events count, not the session's own.</summary>
internal static class OrtProfile
{
    private static readonly HashSet<string> Products = ["MatMul", "Gemm", "MatrixProduct", "BiasedProduct", "AccumulatedProduct", "LinearCrossEntropy", "FusedMatMul", "FusedGemm"];

    public static IReadOnlyList<OperatorTime> Read(IEnumerable<string> paths) =>
        [.. paths.SelectMany(Kernels).GroupBy(kernel => kernel.Operator)
            .Select(group => new OperatorTime(group.Key, group.Count(), group.Sum(kernel => kernel.Milliseconds)))
            .OrderByDescending(time => time.Milliseconds)];

    /// <summary>Share of the kernel time that goes into plain matrix products; attention's own are not counted.</summary>
    public static double ProductShare(IReadOnlyList<OperatorTime> times) =>
        times.Where(time => Products.Contains(time.Operator)).Sum(time => time.Milliseconds) / times.Sum(time => time.Milliseconds);

    private static List<(string Operator, double Milliseconds)> Kernels(string path)
    {
        using FileStream stream = File.OpenRead(path);
        using JsonDocument trace = JsonDocument.Parse(stream);
        var kernels = new List<(string, double)>();
        foreach (JsonElement item in trace.RootElement.EnumerateArray())
        {
            bool kernel = item.TryGetProperty("cat", out JsonElement category) && category.GetString() == "Node"
                && item.GetProperty("name").GetString()!.EndsWith("_kernel_time", StringComparison.Ordinal);
            if (kernel)
                kernels.Add((item.GetProperty("args").GetProperty("op_name").GetString()!, item.GetProperty("dur").GetDouble() / 1000));
        }
        return kernels;
    }
}
