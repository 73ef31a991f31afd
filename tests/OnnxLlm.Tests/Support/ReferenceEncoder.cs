using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Tests.Support;

/// <summary>BERT with its heads for masked tokens and for labels as plain loops in double precision, one sequence at a time, with no more than the paper says.</summary>
internal sealed class ReferenceEncoder(ModelConfig config, Func<string, double[]> weight)
{
    /// <summary>Scores [T][V] of each place of a sequence, of which tokens with mask 0 are not seen.</summary>
    public double[][] Logits(long[] ids, long[] mask, long type = 0) => [.. Hidden(ids, mask, type).Select(Scores)];

    /// <summary>Scores [C] of the labels of a sequence.</summary>
    public double[] Classes(long[] ids, long[] mask, long type = 0) =>
        Linear([.. Linear(Hidden(ids, mask, type)[0], "bert.pooler.dense").Select(Math.Tanh)], "classifier");

    private double[][] Hidden(long[] ids, long[] mask, long type)
    {
        double[][] x = [.. ids.Select((id, t) => Norm(
            Sum(Row("word_embeddings", id), Row("position_embeddings", t), Row("token_type_embeddings", type)), "bert.embeddings.LayerNorm"))];
        for (int layer = 0; layer < config.Layers; layer++) x = Block(x, mask, $"bert.encoder.layer.{layer}");
        return x;

        double[] Row(string table, long row) => weight($"bert.embeddings.{table}.weight").AsSpan((int)row * config.Width, config.Width).ToArray();
    }

    /// <summary>The negative log-likelihood of a sequence's label.</summary>
    public double Loss(long[] ids, long label, long[] mask)
    {
        double[] scores = Classes(ids, mask);
        return Math.Log(scores.Sum(Math.Exp)) - scores[label];
    }

    /// <summary>Sum of the negative log-likelihoods of the labels that are not −100.</summary>
    public double Loss(long[] ids, long[] labels, long[] mask) => Logits(ids, mask).Zip(labels).Where(p => p.Second >= 0)
        .Sum(p => Math.Log(p.First.Sum(Math.Exp)) - p.First[p.Second]);

    private double[][] Block(double[][] x, long[] mask, string name)
    {
        double[][] Project(string part) => [.. x.Select(row => Linear(row, $"{name}.attention.self.{part}"))];
        double[][] attended = Attention(Project("query"), Project("key"), Project("value"), mask);
        double[][] h = [.. x.Zip(attended, (row, a) => Norm(Sum(row, Linear(a, $"{name}.attention.output.dense")), $"{name}.attention.output.LayerNorm"))];
        return [.. h.Select(row => Norm(Sum(row, Linear([.. Linear(row, $"{name}.intermediate.dense").Select(Gelu)], $"{name}.output.dense")), $"{name}.output.LayerNorm"))];
    }

    private double[][] Attention(double[][] q, double[][] k, double[][] v, long[] mask)
    {
        double[][] result = [.. q.Select(row => new double[row.Length])];
        for (int head = 0; head < config.Heads; head++)
            for (int t = 0; t < q.Length; t++)
            {
                var part = Enumerable.Range(head * config.HeadSize, config.HeadSize).ToArray();
                double[] weights = [.. k.Select((key, s) => mask[s] == 0 ? 0 : Math.Exp(part.Sum(i => q[t][i] * key[i]) / Math.Sqrt(config.HeadSize)))];
                foreach (int i in part) result[t][i] = weights.Select((w, s) => w * v[s][i]).Sum() / weights.Sum();
            }
        return result;
    }

    private double[] Scores(double[] x)
    {
        double[] h = Norm([.. Linear(x, "cls.predictions.transform.dense").Select(Gelu)], "cls.predictions.transform.LayerNorm");
        double[] table = weight("bert.embeddings.word_embeddings.weight"), bias = weight("cls.predictions.bias");
        return [.. bias.Select((b, token) => b + h.Select((value, i) => value * table[token * h.Length + i]).Sum())];
    }

    private double[] Linear(double[] x, string name)
    {
        double[] matrix = weight($"{name}.weight");
        return [.. weight($"{name}.bias").Select((b, row) => b + x.Select((value, i) => value * matrix[row * x.Length + i]).Sum())];
    }

    private double[] Norm(double[] x, string name)
    {
        double mean = x.Average(), deviation = Math.Sqrt(x.Average(value => (value - mean) * (value - mean)) + config.NormEpsilon);
        double[] gain = weight($"{name}.weight"), bias = weight($"{name}.bias");
        return [.. x.Select((value, i) => (value - mean) / deviation * gain[i] + bias[i])];
    }

    private static double[] Sum(params double[][] rows) => [.. rows[0].Select((_, i) => rows.Sum(row => row[i]))];

    private static double Gelu(double x) => x * (1 + Erf(x / Math.Sqrt(2))) / 2;

    /// <summary>2/√π · e^(−x²) · Σ 2ⁿx²ⁿ⁺¹/(2n+1)!!, whose terms all have one sign.</summary>
    private static double Erf(double x)
    {
        double term = x, sum = x;
        for (int n = 1; Math.Abs(term) > 1e-17 * Math.Abs(sum); n++) sum += term *= 2 * x * x / (2 * n + 1);
        return 2 / Math.Sqrt(Math.PI) * Math.Exp(-x * x) * sum;
    }
}
