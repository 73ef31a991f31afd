using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Training;

namespace OnnxLlm.Tests.Graphs;

public sealed class InitializerTests
{
    private static readonly ModelConfig Config = ModelConfig.Preset("gpt2") with { Width = 64, Heads = 4, KeyValueHeads = 4, FeedForward = 256, Layers = 8, VocabularySize = 1000 };

    [Fact]
    public void Weights_DependOn_SeedAndNameOnly()
    {
        var matrix = new ParameterInfo("a.weight", [40, 30], Decay: true);
        var weights = Values(matrix, seed: 1);
        Assert.Equal(weights, Values(matrix, seed: 1));
        Assert.Equal(weights[..600], Values(matrix with { Shape = [20, 30] }, seed: 1));
        Assert.NotEqual(weights, Values(matrix, seed: 2));
        Assert.NotEqual(weights, Values(matrix with { Name = "b.weight" }, seed: 1));
    }

    [Fact]
    public void Weights_AreTheSame_OnEveryMachineAndRelease()
    {
        // Worked out by another program from the published definitions; a change would silently change every run that is started from a seed.
        var values = Values(new ParameterInfo("transformer.wte.weight", [2, 2], Decay: true), seed: 1337);
        Assert.Equal([0.012516224941064023f, 0.014675512666902429f, 0.005214825751275835f, -0.004770087491771678f], values);
    }

    [Theory]
    [InlineData("transformer.wte.weight", 0.02)]
    [InlineData("transformer.h.0.mlp.c_fc.weight", 0.02)]
    [InlineData("transformer.h.7.mlp.c_proj.weight", 0.005)]
    [InlineData("model.layers.0.self_attn.o_proj.weight", 0.005)]
    [InlineData("model.layers.0.mlp.down_proj.weight", 0.005)]
    public void Normal_HasItsDeviation_AndResidualProjectionsOneOverSqrt2L(string name, double deviation)
    {
        var values = Values(new ParameterInfo(name, [256, 256], Decay: true), seed: 3);

        // Of n = 65536 draws the mean has the deviation s/√n = s/256 and the deviation itself s/√(2n) = s/362; five of each are allowed.
        Assert.InRange(values.Average(), -5 * deviation / 256, 5 * deviation / 256);
        Assert.InRange(Math.Sqrt(values.Average(v => (double)v * v)), deviation * (1 - 5 / 362.0), deviation * (1 + 5 / 362.0));
        // The share of a normal distribution beyond two deviations is 4.55 %; its own deviation here is 0.08 %.
        Assert.InRange(values.Count(v => Math.Abs(v) > 2 * deviation) / 65536.0, 0.0455 - 0.004, 0.0455 + 0.004);
    }

    [Fact]
    public void Xavier_HasTheDeviation_OfItsShape()
    {
        float[] values = new float[100 * 300];
        new Initializer(Config, 1, InitializerKind.Xavier).Fill(new ParameterInfo("w.weight", [100, 300], Decay: true), values);
        double expected = Math.Sqrt(2.0 / 400);
        Assert.InRange(Math.Sqrt(values.Average(v => (double)v * v)), expected * 0.98, expected * 1.02);
    }

    [Fact]
    public void Gains_AreOne_AndBiasesZero()
    {
        Assert.All(Values(new ParameterInfo("transformer.h.0.ln_1.weight", [64], Decay: false), 1), v => Assert.Equal(1, v));
        Assert.All(Values(new ParameterInfo("transformer.h.0.ln_1.bias", [64], Decay: false), 1), v => Assert.Equal(0, v));
    }

    private static float[] Values(ParameterInfo parameter, long seed)
    {
        float[] values = new float[parameter.Count];
        new Initializer(Config, seed).Fill(parameter, values);
        return values;
    }
}
