using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Runtime;

namespace OnnxLlm.Tests.Graphs;

/// <summary>
/// ONNX Runtime's ScatterND with reduction "add" loses updates when two threads meet at one row: the gradient of an embedding then depends on chance.
/// </summary>
public class ScatterAddRowsTests
{
    private const int Count = 4096, Rows = 20, Width = 64;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ScatterAddRows_OfManyRowsOntoFew_AddsEachExactlyOnce(bool kernels)
    {
        long[] ids = [.. Enumerable.Range(0, Count).Select(i => i * 7L % Rows)];
        float[] rows = [.. Enumerable.Range(0, Count * Width).Select(i => (float)(i % 8))];       // whole numbers: every order gives the same sum
        using var session = new OrtSession(Model(), new SessionSettings { Threads = 4, Kernels = kernels });
        using TensorBuffer idBuffer = TensorBuffer.Of(ids, Count), rowBuffer = TensorBuffer.Of(rows, Count, Width);
        double[] expected = ScatterReference.AddRows(new float[Rows * Width], ids, rows);

        for (int run = 0; run < 50; run++)
        {
            using var sum = session.Run(new Dictionary<string, TensorBuffer> { ["ids"] = idBuffer, ["rows"] = rowBuffer })["sum"];
            Assert.Equal(expected, sum.Span<float>().ToArray().Select(value => (double)value));
        }
    }

    private static byte[] Model()
    {
        var g = new GraphBuilder("scatter");
        var (ids, rows) = (g.Input("ids", ElementType.Int64, [Count]), g.Input("rows", ElementType.Float, [Count, Width]));
        g.Output("sum", g.ScatterAddRows(g.Zeros([Rows, Width], rows), ids, rows));
        return OnnxFile.ToBytes(g.Build());
    }
}
