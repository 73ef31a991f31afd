using System.Runtime.InteropServices;
using System.Text;
using Microsoft.ML.OnnxRuntime;

namespace OnnxLlm.Runtime.Kernels;

/// <summary>Makes the kernels known to sessions. The domain and its operators are made once and live as long as the process: sessions refer to them.</summary>
internal static unsafe class CustomOperators
{
    private static readonly Lazy<nint> Domain = new(CreateDomain);

    internal static void Register(SessionOptions options)
    {
        NativeApi.Check(NativeApi.AddCustomOpDomain(options.DangerousGetHandle(), Domain.Value));
        GC.KeepAlive(options);
    }

    private static nint CreateDomain()
    {
        nint domain;
        fixed (byte* name = Encoding.UTF8.GetBytes(Graphs.Function.Domain + '\0'))
            NativeApi.Check(NativeApi.CreateCustomOpDomain(name, &domain));
        var operators = (NativeOperator*)NativeMemory.AllocZeroed((nuint)KernelList.All.Length, (nuint)sizeof(NativeOperator));
        for (int i = 0; i < KernelList.All.Length; i++)
        {
            CustomOperator.Describe(operators + i, i);
            NativeApi.Check(NativeApi.CustomOpDomainAdd(domain, operators + i));
        }
        return domain;
    }
}
