using System.Globalization;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tests.Runtime;

/// <summary>Whether a session still holds the memory of its activations after a run, as the system sees it: a mapping of about their size.</summary>
public sealed class GivenBackMemoryTests
{
    /// <summary>203 MB, which no other test has.</summary>
    private const long Count = 50_750_000;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void ActivationsOfARun_AreGivenBack_WhereThatIsAskedFor(bool givesBack)
    {
        if (!OperatingSystem.IsLinux()) return;
        var g = new GraphBuilder("large");
        var first = g.Input("x", ElementType.Float, [1]) * 2;     // the arena keeps its first region
        var wide = g.Emit("Expand", [first, g.Int64s(Count)], ElementType.Float, [Count]);
        g.Output("y", g.Emit("ReduceMax", [wide], ElementType.Float, [1]));
        using var session = new OrtSession(OnnxFile.ToBytes(g.Build()), new SessionSettings { Threads = 1, GivesBackMemory = givesBack });
        using TensorBuffer x = TensorBuffer.Of([3f], 1), y = TensorBuffer.Zeros(ElementType.Float, 1);
        using var bound = session.Bind().Input("x", x).Output("y", y);
        for (int run = 0; run < 2; run++)
        {
            bound.Run();
            Assert.Equal(6, y.Span<float>()[0]);
            Assert.Equal(givesBack ? 0 : 1, Resident().Count(bytes => bytes is > 4 * Count - 1_000_000 and < 4 * Count + 40_000_000));
        }
    }

    /// <summary>Bytes of each mapping of this process that are in memory.</summary>
    private static IEnumerable<long> Resident() => File.ReadLines("/proc/self/smaps").Where(line => line.StartsWith("Rss:", StringComparison.Ordinal))
        .Select(line => 1024 * long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture));
}
