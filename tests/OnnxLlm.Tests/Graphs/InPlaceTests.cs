using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Functions;
using OnnxLlm.Graphs.Training;

namespace OnnxLlm.Tests.Graphs;

public sealed class InPlaceTests
{
    [Fact]
    public void WriterThatIsTheOnlyReader_IsSafe() => Assert.Empty(Violations(g =>
    {
        var w = g.Parameter("w", [2, 2]);
        g.Output("w.out", w - g.Input("dw", ElementType.Float, [2, 2]));
    }));

    [Fact]
    public void ReaderThatTheWriterNeeds_IsSafe() => Assert.Empty(Violations(g =>
    {
        var w = g.Parameter("w", [2, 2]);
        g.Output("w.out", w - w * g.Exp(w));
    }));

    [Fact]
    public void ReaderThatTheWriterDoesNotNeed_IsNamed()
    {
        // The mistake of one graph for gradients and updates: the product may run after the update.
        string violation = Assert.Single(Violations(g =>
        {
            var w = g.Parameter("w", [2, 2]);
            g.Output("w.out", w - g.Input("dw", ElementType.Float, [2, 2]));
            using var scope = g.Scope("late");
            g.Output("dx", g.MatMul(g.Input("dy", ElementType.Float, [2, 2]), w));
        }));
        Assert.Contains("MatMul", violation, StringComparison.Ordinal);
        Assert.Contains("in late may read 'w' after Sub has written 'w.out'", violation, StringComparison.Ordinal);
    }

    /// <summary>One buffer written twice: the first result is an output too, and input of the second writer.</summary>
    [Theory]
    [InlineData(false, 0)]
    [InlineData(true, 1)]
    public void BufferWrittenTwice_IsSafe_UnlessTheFirstResultIsReadElsewhere(bool read, int expected)
    {
        var g = new GraphBuilder();
        var w = g.Parameter("w", [2, 2]);
        var first = w - g.Input("dw", ElementType.Float, [2, 2]);
        g.Output("w.first", first);
        g.Output("w.out", g.Neg(first));
        if (read) g.Output("y", g.Exp(first));
        string[] violations = [.. InPlace.Violations(g.Build(), [("w", "w.out"), ("w", "w.first")])];
        Assert.Equal(expected, violations.Length);
        Assert.All(violations, v => Assert.Contains("after Neg has written 'w.out'", v, StringComparison.Ordinal));
    }

    [Fact]
    public void FunctionBody_IsLookedInto()
    {
        // Both outputs read x; whichever is computed first destroys it for the other.
        var function = new Function
        {
            Name = "Split",
            Inputs = [new("x", ["N"])],
            Outputs = ["y", "z"],
            Infer = (inputs, _) => [(inputs[0].Type, inputs[0].Shape), (inputs[0].Type, inputs[0].Shape)],
            Body = (g, inputs) => [g.Exp(inputs[0]), g.Neg(inputs[0])],
        };
        string violation = Assert.Single(Violations(g => g.Output("w.out", function.Call(g, [g.Parameter("w", [2])])[0])));
        Assert.Contains("Neg", violation, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("parameter", "new_parameter")]
    [InlineData("m", "new_m")]
    [InlineData("v", "new_v")]
    public void AdamW_MayWorkInPlace(string input, string output)
    {
        var adamW = FunctionList.All.Single(f => f.Name == "AdamW");
        Assert.Empty(InPlace.Violations(adamW.Define(), [(input, output)]));
    }

    private static IEnumerable<string> Violations(Action<GraphBuilder> build)
    {
        var g = new GraphBuilder();
        build(g);
        return InPlace.Violations(g.Build(), [("w", "w.out")]);
    }
}
