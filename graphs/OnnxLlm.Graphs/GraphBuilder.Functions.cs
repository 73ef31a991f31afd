using OnnxLlm.Graphs.Functions;

namespace OnnxLlm.Graphs;

/// <summary>The fused operators as methods. Their definitions lie in <c>Functions</c>.</summary>
public sealed partial class GraphBuilder
{
    /// <summary>Normalises the last axis of x [.., D] by its root mean square; weight [D].</summary>
    public Value RmsNorm(Value x, Value weight, float epsilon) => Functions.RmsNorm.Forward.Call(this, [x, weight], ("epsilon", epsilon))[0];

    /// <summary>Normalises the last axis of x [.., D] to mean 0 and variance 1; weight and bias [D].</summary>
    public Value LayerNorm(Value x, Value weight, Value bias, float epsilon) =>
        Functions.LayerNorm.Forward.Call(this, [x, weight, bias], ("epsilon", epsilon))[0];

    /// <summary>GELU in its tanh form.</summary>
    public Value Gelu(Value x) => Functions.Gelu.Forward.Call(this, [x])[0];

    /// <summary>GELU in its exact form, ½x(1 + erf(x/√2)), of standard operators.</summary>
    public Value GeluErf(Value x) => x * 0.5 * (Erf(x * Math.Sqrt(0.5)) + 1);

    /// <summary>silu(gate)·up.</summary>
    public Value SwiGlu(Value gate, Value up) => Functions.SwiGlu.Forward.Call(this, [gate, up])[0];

    /// <summary>Turns x [B, T, H*K] by the angles whose cosines and sines [T, K/2] are given, halves paired as in Hugging Face's models.</summary>
    public Value RotaryEmbedding(Value x, Value cos, Value sin, int heads) =>
        Functions.RotaryEmbedding.Forward.Call(this, [x, cos, sin], ("heads", heads))[0];

    /// <summary>Causal attention of q [B, T, H*K] over k and v [B, T, G*K], scaled by 1/√K.</summary>
    public Value CausalAttention(Value q, Value k, Value v, int heads, int kvHeads) =>
        Functions.CausalAttention.Forward.Call(this, [q, k, v], ("heads", heads), ("kv_heads", kvHeads))[0];

    /// <summary>Attention of q over k and v, all [B, T, H*K], scaled by 1/√K, to the tokens whose mask, int64 [B, T], is not 0.</summary>
    public Value MaskedAttention(Value q, Value k, Value v, Value mask, int heads) =>
        Functions.MaskedAttention.Forward.Call(this, [q, k, v, mask], ("heads", heads))[0];

    /// <summary>
    /// Attention of q [B, T, H*K] over k and v [B, S, H*K] whose scores are not scaled but have a bias added, [B, H, T, S] or what broadcasts to it;
    /// <see cref="Functions.BiasedAttention.Hidden"/> there hides a key.
    /// </summary>
    public Value BiasedAttention(Value q, Value k, Value v, Value bias, int heads) =>
        Functions.BiasedAttention.Forward.Call(this, [q, k, v, bias], ("heads", heads))[0];

    /// <summary>scale · Σ of the negative log-likelihoods of labels [N] under logits [N, V], a scalar; rows with label −100 do not count.</summary>
    public Value SoftmaxCrossEntropy(Value logits, Value labels, Value scale) =>
        Functions.SoftmaxCrossEntropy.Forward.Call(this, [logits, labels, scale])[0];

    /// <summary>The negative log-likelihood of every label [N] under logits [N, V]; 0 for rows with label −100.</summary>
    public Value TokenLoss(Value logits, Value labels) => Functions.SoftmaxCrossEntropy.TokenLoss.Call(this, [logits, labels])[0];

    /// <summary><paramref name="into"/> [V, ...] with each slice of <paramref name="rows"/>, of shape ids × [...], added at the row that its id names.</summary>
    public Value ScatterAddRows(Value into, Value ids, Value rows)
    {
        var flat = Reshape(ids, [Dimension.Product(ids.Shape)]);    // [N]
        return ReshapeLike(Functions.ScatterAddRows.Forward.Call(this, [Matrix(into, 1), flat, Matrix(rows, ids.Rank)])[0], into);
    }

    private Value Matrix(Value x, int rowAxes) => x.Rank == 2 && rowAxes == 1 ? x : Flatten(x, rowAxes);

    /// <summary>Σ x², a scalar.</summary>
    public Value SquaredNorm(Value x) => Functions.SquaredNorm.Forward.Call(this, [x])[0];

    /// <summary>The gradient where <paramref name="reset"/> (bool [1]) holds, else buffer + gradient.</summary>
    public Value Accumulate(Value buffer, Value gradient, Value reset) => Functions.Accumulate.Forward.Call(this, [buffer, gradient, reset])[0];

    /// <summary>One AdamW update.</summary>
    public AdamWState AdamW(AdamWState state, Value gradient, AdamWStep step, AdamWConstants constants)
    {
        var updated = Functions.AdamW.Forward.Call(
            this,
            [state.Parameter, gradient, state.FirstMoment, state.SecondMoment, step.LearningRate, step.GradientScale, step.Bias1, step.Bias2],
            ("beta1", constants.Beta1), ("beta2", constants.Beta2), ("epsilon", constants.Epsilon), ("weight_decay", constants.WeightDecay));
        return new(updated[0], updated[1], updated[2]);
    }

    /// <summary>
    /// 1 − βᵗ for the int64 scalar <paramref name="step"/> t, counted from 1. In double precision: in single, 1 − 0.999 has only four digits.
    /// </summary>
    public Value BiasCorrection(Value step, float beta)
    {
        var power = Pow(Constant(TensorData.Scalar(beta, ElementType.Double)), Cast(step, ElementType.Double));
        return Cast(1 - power, ElementType.Float);
    }

    /// <summary>
    /// The number in [0, 1) for step t that moments of 8 bits are rounded by: the fraction of t times the golden ratio, so that those of any steps in a row are spread as evenly as can be. In double precision: the fraction
    /// of a large t has no digits in single.
    /// </summary>
    public Value Dither(Value step)
    {
        var turns = Cast(step, ElementType.Double) * ((Math.Sqrt(5) - 1) / 2);
        return Cast(turns - Floor(turns), ElementType.Float);
    }

    /// <summary>One step of gradient descent.</summary>
    public Value Sgd(Value parameter, Value gradient, Value learningRate, Value gradientScale, float weightDecay = 0) =>
        Functions.Sgd.Forward.Call(this, [parameter, gradient, learningRate, gradientScale], ("weight_decay", weightDecay))[0];
}
