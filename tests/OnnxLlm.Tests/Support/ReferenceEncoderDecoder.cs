using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Tests.Support;

/// <summary>T5 as plain loops in double precision, one pair of texts at a time, with no more than the paper and the published code say.</summary>
internal sealed class ReferenceEncoderDecoder(ModelConfig config, Func<string, double[]> weight)
{
    /// <summary>Scores [T][V] of the token after each of those written, of a text that is read where its mask is not 0.</summary>
    public double[][] Logits(long[] read, long[] mask, long[] written)
    {
        double[][] encoded = Encode(read, mask);
        double[][] x = [.. written.Select(Word)];
        for (int layer = 0; layer < config.DecoderLayers; layer++)
        {
            string block = $"decoder.block.{layer}.layer";
            x = Sum(x, Attend($"{block}.0.SelfAttention", Normed(x, $"{block}.0"), null, (t, s, head) => s > t ? double.NegativeInfinity : Bias("decoder", t, s, head)));
            x = Sum(x, Attend($"{block}.1.EncDecAttention", Normed(x, $"{block}.1"), encoded, (_, s, _) => mask[s] == 0 ? double.NegativeInfinity : 0));
            x = Sum(x, FeedForward($"{block}.2", x));
        }
        double[] table = weight(config.TiedEmbeddings ? "shared.weight" : "lm_head.weight");
        double scale = config.TiedEmbeddings ? 1 / Math.Sqrt(config.Width) : 1;
        return [.. x.Select(row => Product(Norm(row, "decoder.final_layer_norm"), table, config.VocabularySize).Select(score => scale * score).ToArray())];
    }

    /// <summary>What the encoder makes [S][D] of a text.</summary>
    public double[][] Encode(long[] read, long[] mask)
    {
        double[][] x = [.. read.Select(Word)];
        for (int layer = 0; layer < config.Layers; layer++)
        {
            string block = $"encoder.block.{layer}.layer";
            x = Sum(x, Attend($"{block}.0.SelfAttention", Normed(x, $"{block}.0"), null, (t, s, head) => mask[s] == 0 ? double.NegativeInfinity : Bias("encoder", t, s, head)));
            x = Sum(x, FeedForward($"{block}.1", x));
        }
        return [.. x.Select(row => Norm(row, "encoder.final_layer_norm"))];
    }

    /// <summary>Sum of the negative log-likelihoods of the labels that are not −100.</summary>
    public double Loss(long[] read, long[] mask, long[] written, long[] labels) => Logits(read, mask, written).Zip(labels).Where(p => p.Second >= 0)
        .Sum(p => Math.Log(p.First.Sum(Math.Exp)) - p.First[p.Second]);

    private double[][] Attend(string name, double[][] h, double[][]? other, Func<int, int, int, double> bias)
    {
        double[][] Project(string part, double[][] rows) => [.. rows.Select(row => Product(row, weight($"{name}.{part}.weight"), config.QueryWidth))];
        double[][] q = Project("q", h), k = Project("k", other ?? h), v = Project("v", other ?? h), result = [.. q.Select(row => new double[row.Length])];
        for (int head = 0; head < config.Heads; head++)
            for (int t = 0; t < q.Length; t++)
            {
                var part = Enumerable.Range(head * config.HeadSize, config.HeadSize).ToArray();
                double[] weights = [.. k.Select((key, s) => Math.Exp(part.Sum(i => q[t][i] * key[i]) + bias(t, s, head)))];
                foreach (int i in part) result[t][i] = weights.Select((w, s) => w * v[s][i]).Sum() / weights.Sum();
            }
        return [.. result.Select(row => Product(row, weight($"{name}.o.weight"), config.Width))];
    }

    private double[][] FeedForward(string name, double[][] x) => [.. Normed(x, name).Select(h =>
    {
        double[] Inner(string matrix) => Product(h, weight($"{name}.DenseReluDense.{matrix}.weight"), config.FeedForward);
        double[] inner = config.GatedFeedForward ? [.. Inner("wi_0").Zip(Inner("wi_1"), (gate, up) => Gelu(gate) * up)] : [.. Inner("wi").Select(a => Math.Max(a, 0))];
        return Product(inner, weight($"{name}.DenseReluDense.wo.weight"), config.Width);
    })];

    private double Bias(string side, int query, int key, int head) =>
        weight($"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight")[Class(query, key, side == "encoder") * config.Heads + head];

    /// <summary>The class of a distance: exact up to half of them, then as many as powers of the ratio of the largest distance to that half fit in.</summary>
    private int Class(int query, int key, bool bothWays)
    {
        int classes = bothWays ? config.RelativeBuckets / 2 : config.RelativeBuckets, exact = classes / 2, distance = bothWays ? Math.Abs(key - query) : query - key;
        int found = distance;
        if (distance >= exact)
            for (found = exact; found < classes - 1 && exact * Math.Pow((double)config.RelativeMaxDistance / exact, (found + 1.0 - exact) / (classes - exact)) <= distance * (1 + 1e-9); found++) { }
        return bothWays && key > query ? found + classes : found;
    }

    private double[] Word(long id) => weight("shared.weight").AsSpan((int)id * config.Width, config.Width).ToArray();

    private double[][] Normed(double[][] x, string layer) => [.. x.Select(row => Norm(row, $"{layer}.layer_norm"))];

    private double[] Norm(double[] x, string name)
    {
        double scale = 1 / Math.Sqrt(x.Average(value => value * value) + config.NormEpsilon);
        return [.. x.Zip(weight($"{name}.weight"), (value, gain) => value * scale * gain)];
    }

    private static double[] Product(double[] x, double[] matrix, int outputs) =>
        [.. Enumerable.Range(0, outputs).Select(row => x.Select((value, i) => value * matrix[row * x.Length + i]).Sum())];

    private static double[][] Sum(double[][] a, double[][] b) => [.. a.Zip(b, (x, y) => x.Zip(y, (p, q) => p + q).ToArray())];

    private static double Gelu(double x) => x / 2 * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
}
