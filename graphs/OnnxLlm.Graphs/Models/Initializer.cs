using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.Training;

namespace OnnxLlm.Graphs.Models;

public enum InitializerKind
{
    /// <summary>Standard deviation <see cref="ModelConfig.InitializerRange"/>; projections onto the residual stream divided by √(2L) (GPT-2).</summary>
    Normal,

    /// <summary>Standard deviation √(2 / (rows + columns)) (Glorot and Bengio 2010).</summary>
    Xavier,
}

/// <summary>
/// Fresh parameters. Every value is a function of the seed, the parameter's name and the element's index alone, so neither the order of the
/// parameters nor the number of threads or ranks changes a weight.
/// </summary>
public sealed class Initializer(ModelConfig config, long seed, InitializerKind kind = InitializerKind.Normal)
{
    private static readonly string[] ResidualProjections = [".c_proj.weight", ".o_proj.weight", ".down_proj.weight"];

    /// <summary>Gains are 1, biases 0, all else is normally distributed around 0.</summary>
    public void Fill(ParameterInfo parameter, Span<float> values)
    {
        if (values.Length != parameter.Count) throw new GraphException($"'{parameter.Name}' has {parameter.Count} elements, the buffer {values.Length}.");
        if (parameter.Shape.Length == 1) values.Fill(parameter.Name.EndsWith(".bias", StringComparison.Ordinal) ? 0 : 1);
        else Normal(parameter, values);
    }

    /// <summary>The fresh values of one parameter.</summary>
    public TensorData Values(ParameterInfo parameter)
    {
        float[] values = new float[parameter.Count];
        Fill(parameter, values);
        return TensorData.Of(ElementType.Float, TensorShape.Of(parameter.Shape), values.AsSpan());
    }

    /// <summary>The fresh values of all parameters of the model, by name.</summary>
    public WeightSource Source()
    {
        var parameters = ModelParameters.Of(config).ToDictionary(p => p.Name);
        return name => Values(parameters[name]);
    }

    private double Deviation(ParameterInfo parameter)
    {
        if (kind == InitializerKind.Xavier) return Math.Sqrt(2.0 / (parameter.Shape[0] + parameter.Shape[1]));
        if (config.IsEncoderDecoder) return config.InitializerRange * T5Deviation(parameter);
        bool residual = ResidualProjections.Any(parameter.Name.EndsWith);
        return config.InitializerRange / (residual ? Math.Sqrt(2.0 * config.Layers) : 1);
    }

    /// <summary>As T5 begins (Hugging Face's <c>_init_weights</c>): scores are not scaled, so queries begin small; the embedding begins large, as its products are divided by √D.</summary>
    private double T5Deviation(ParameterInfo parameter) => parameter.Name.Split('.') is [.., var part, "weight"] ? part switch
    {
        "shared" or "lm_head" => 1,
        "q" => Math.Pow((double)config.Width * config.HeadSize, -0.5),
        "o" => Math.Pow(config.QueryWidth, -0.5),
        "wo" => Math.Pow(config.FeedForward, -0.5),
        _ => Math.Pow(config.Width, -0.5),
    } : throw new GraphException($"'{parameter.Name}' is no parameter of a T5.");

    /// <summary>Box and Muller's transform: two uniform numbers become two normal ones.</summary>
    private void Normal(ParameterInfo parameter, Span<float> values)
    {
        double deviation = Deviation(parameter);
        ulong key = Key(parameter.Name);
        for (int i = 0; i < values.Length; i += 2)
        {
            double radius = deviation * Math.Sqrt(-2 * Math.Log(Uniform(key, (ulong)i)));
            var (sin, cos) = Math.SinCos(2 * Math.PI * Uniform(key, (ulong)i + 1));
            values[i] = (float)(radius * cos);
            if (i + 1 < values.Length) values[i + 1] = (float)(radius * sin);
        }
    }

    private ulong Key(string name)
    {
        byte[] text = Encoding.UTF8.GetBytes(FormattableString.Invariant($"{seed}/{name}"));
        return BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(text));
    }

    /// <summary>The counter-based generator SplitMix64 (Steele, Lea and Flood 2014), as a number in (0, 1].</summary>
    private static double Uniform(ulong key, ulong counter)
    {
        ulong z = key + (counter + 1) * 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return ((z ^ (z >> 31)) >> 11) * (1.0 / (1UL << 53)) + 1.0 / (1UL << 53);
    }
}
