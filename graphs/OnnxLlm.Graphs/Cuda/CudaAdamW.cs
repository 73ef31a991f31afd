namespace OnnxLlm.Graphs.Cuda;

/// <summary>
/// The AdamW update in fourteen passes over its tensors, where its definition takes twenty: factors are gathered in scalars, which several tensors share.
/// Where the gradient's scale is not finite the gradient counts as 0, and the scalars are such that everything stays as it is.
/// </summary>
internal sealed class CudaAdamW
{
    private readonly GraphBuilder _g;
    private readonly Value _finite, _zero, _keptM, _addedM, _keptV, _addedV, _step, _epsilon;

    /// <param name="g">The graph.</param>
    /// <param name="inputs">Of the function; its scalars are looked at.</param>
    public CudaAdamW(GraphBuilder g, IReadOnlyList<Value> inputs)
    {
        _g = g;
        var (rate, scale, bias1, bias2) = (inputs[4], inputs[5], inputs[6], inputs[7]);
        var (beta1, beta2, one) = (g.FloatAttribute("beta1", scale), g.FloatAttribute("beta2", scale), g.Scalar(1, scale));
        _zero = g.Scalar(0, scale);
        _finite = g.Less(scale, g.Scalar(double.PositiveInfinity, scale));      // false for NaN, and no scale is negative
        var root = g.Sqrt(bias2);
        (_keptM, _addedM) = (Or(beta1, one), Or(scale * (1 - beta1), _zero));
        (_keptV, _addedV) = (Or(beta2, one), Or(scale * g.Sqrt(1 - beta2), _zero));
        _step = Or(rate * root / bias1, _zero);
        _epsilon = root * g.FloatAttribute("epsilon", scale);
    }

    public Value[] Update(IReadOnlyList<Value> inputs)
    {
        var (parameter, m, v, rate) = (inputs[0], inputs[2], inputs[3], inputs[4]);
        var gradient = _g.Where(_finite, inputs[1], _zero);
        var share = gradient * _addedV;
        var newM = m * _keptM + gradient * _addedM;
        var newV = v * _keptV + share * share;

        // lr·(m/bias1)/(√(v/bias2) + ε), above and below times √bias2.
        var step = newM * _step / (_g.Sqrt(newV) + _epsilon);
        return [parameter * Or(1 - rate * _g.FloatAttribute("weight_decay", parameter), _g.Scalar(1, rate)) - step, newM, newV];
    }

    private Value Or(Value scalar, Value otherwise) => _g.Where(_finite, scalar, otherwise);
}
