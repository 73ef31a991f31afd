using System.Collections.Immutable;
using OnnxLlm.Graphs.Training;

namespace OnnxLlm.Tests.Graphs;

/// <summary>The optimizers as their papers and PyTorch's documentation write them: plain loops over doubles, each with the clipped gradient.</summary>
internal sealed class ReferenceOptimizer(OptimizerSettings settings, ImmutableArray<ParameterInfo> parameters, int layers)
{
    private readonly Dictionary<ParameterInfo, double[]> _first = parameters.ToDictionary(p => p, p => new double[p.Count]);
    private readonly Dictionary<ParameterInfo, double[]> _second = parameters.ToDictionary(p => p, p => new double[p.Count]);

    public Dictionary<ParameterInfo, double[]> Values { get; } =
        parameters.ToDictionary(p => p, p => Enumerable.Range(0, (int)p.Count).Select(i => (double)(float)QuadraticTests.Start(i)).ToArray());

    /// <summary>One step; returns the norm before clipping.</summary>
    public double Step(Dictionary<ParameterInfo, double[]> gradients, double learningRate, int step)
    {
        double norm = Math.Sqrt(gradients.Values.Sum(g => g.Sum(x => x * x)));
        double clip = settings.ClipNorm > 0 ? Math.Min(1, settings.ClipNorm / (norm + 1e-6)) : 1;
        foreach (var p in parameters)
        {
            double[] g = [.. gradients[p].Select(x => x * clip)];
            double depth = p.Name.StartsWith("embed", StringComparison.Ordinal) ? 0 : p.Layer + 1 ?? layers + 1;
            double rate = learningRate * Math.Pow(settings.LayerDecay, layers + 1 - depth);
            if (settings.Kind == OptimizerKind.Muon && p.Layer is not null && p.Shape.Length == 2) Muon(p, g, rate);
            else Elementwise(p, g, rate, step);
        }
        return norm;
    }

    private void Elementwise(ParameterInfo p, double[] gradient, double rate, int step)
    {
        var (x, m, v, decay) = (Values[p], _first[p], _second[p], p.Decay ? (double)settings.WeightDecay : 0);
        var (beta1, beta2, mu, epsilon) = ((double)settings.Beta1, (double)settings.Beta2, (double)settings.Momentum, (double)settings.Epsilon);
        for (int i = 0; i < x.Length; i++)
        {
            bool decoupled = settings.Kind is OptimizerKind.AdamW or OptimizerKind.Muon;
            double g = gradient[i] + (decoupled ? 0 : decay * x[i]);
            if (decoupled) x[i] -= rate * decay * x[i];
            switch (settings.Kind)
            {
                case OptimizerKind.Sgd:
                    x[i] -= rate * g;
                    break;
                case OptimizerKind.Momentum:
                    m[i] = mu * m[i] + g;
                    x[i] -= rate * m[i];
                    break;
                case OptimizerKind.AdaGrad:
                    v[i] += g * g;
                    x[i] -= rate * g / (Math.Sqrt(v[i]) + epsilon);
                    break;
                case OptimizerKind.RmsProp:
                    v[i] = beta2 * v[i] + (1 - beta2) * g * g;
                    x[i] -= rate * g / (Math.Sqrt(v[i]) + epsilon);
                    break;
                default:
                    m[i] = beta1 * m[i] + (1 - beta1) * g;
                    v[i] = beta2 * v[i] + (1 - beta2) * g * g;
                    x[i] -= rate * (m[i] / (1 - Math.Pow(beta1, step))) / (Math.Sqrt(v[i] / (1 - Math.Pow(beta2, step))) + epsilon);
                    break;
            }
        }
    }

    private void Muon(ParameterInfo p, double[] g, double rate)
    {
        var (x, m, mu, rows, columns) = (Values[p], _first[p], (double)settings.Momentum, (int)p.Shape[0], (int)p.Shape[1]);
        for (int i = 0; i < m.Length; i++) m[i] += (1 - mu) * (g[i] - m[i]);
        double[,] direction = new double[rows, columns];
        for (int i = 0; i < m.Length; i++) direction[i / columns, i % columns] = g[i] + mu * (m[i] - g[i]);
        direction = Orthogonal(direction);
        for (int i = 0; i < m.Length; i++)
            x[i] = x[i] * (1 - rate * settings.WeightDecay) - rate * 0.2 * Math.Sqrt(Math.Max(rows, columns)) * direction[i / columns, i % columns];
    }

    /// <summary>Newton–Schulz on the matrix as it lies, tall or wide: x(aI + b·xᵀx + c(xᵀx)²) is the same either way.</summary>
    private static double[,] Orthogonal(double[,] x)
    {
        var (n, d) = (x.GetLength(0), x.GetLength(1));
        double norm = Math.Sqrt(x.Cast<double>().Sum(v => v * v)) + 1e-7;
        x = Matrix(n, d, (i, j) => x[i, j] / norm);
        for (int iteration = 0; iteration < 5; iteration++)
        {
            double[,] y = x, gram = Matrix(d, d, (i, j) => Sum(n, k => y[k, i] * y[k, j]));
            double[,] poly = Matrix(d, d, (i, j) => (i == j ? 3.4445 : 0) - 4.7750 * gram[i, j] + 2.0315 * Sum(d, k => gram[i, k] * gram[k, j]));
            x = Matrix(n, d, (i, j) => Sum(d, k => y[i, k] * poly[k, j]));
        }
        return x;
    }

    private static double Sum(int count, Func<int, double> term)
    {
        double sum = 0;
        for (int k = 0; k < count; k++) sum += term(k);
        return sum;
    }

    private static double[,] Matrix(int rows, int columns, Func<int, int, double> element)
    {
        double[,] matrix = new double[rows, columns];
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++) matrix[i, j] = element(i, j);
        return matrix;
    }
}
