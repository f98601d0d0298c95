/* templates/cdc — see the header. */
#include "templates/cdc.h"

#include <stdint.h>

/* 18 and 14 of the bits that 50 bytes and more have gone into: before CDC_NORMAL a cut is rare,
 * after it frequent, so that most chunks end near it. */
#define MASK_BEFORE (~UINT64_C(0) << 46)
#define MASK_AFTER  (~UINT64_C(0) << 50)

/* Bytes that the hash has seen before its first verdict. */
#define WARM_UP 64

/* Element b: splitmix64 of b + 1 times its constant (Steele, Lea, Flood: OOPSLA 2014). */
/* clang-format off */
static const uint64_t gear[256] = {
    0xe220a8397b1dcdafu, 0x6e789e6aa1b965f4u, 0x06c45d188009454fu, 0xf88bb8a8724c81ecu,
    0x1b39896a51a8749bu, 0x53cb9f0c747ea2eau, 0x2c829abe1f4532e1u, 0xc584133ac916ab3cu,
    0x3ee5789041c98ac3u, 0xf3b8488c368cb0a6u, 0x657eecdd3cb13d09u, 0xc2d326e0055bdef6u,
    0x8621a03fe0bbdb7bu, 0x8e1f7555983aa92fu, 0xb54e0f1600cc4d19u, 0x84bb3f97971d80abu,
    0x7d29825c75521255u, 0xc3cf17102b7f7f86u, 0x3466e9a083914f64u, 0xd81a8d2b5a4485acu,
    0xdb01602b100b9ed7u, 0xa9038a921825f10du, 0xedf5f1d90dca2f6au, 0x54496ad67bd2634cu,
    0xdd7c01d4f5407269u, 0x935e82f1db4c4f7bu, 0x69b82ebc92233300u, 0x40d29eb57de1d510u,
    0xa2f09dabb45c6316u, 0xee521d7a0f4d3872u, 0xf16952ee72f3454fu, 0x377d35dea8e40225u,
    0x0c7de8064963bab0u, 0x05582d37111ac529u, 0xd254741f599dc6f7u, 0x69630f7593d108c3u,
    0x417ef96181daa383u, 0x3c3c41a3b43343a1u, 0x6e19905dcbe531dfu, 0x4fa9fa7324851729u,
    0x84eb4454a792922au, 0x134f7096918175ceu, 0x07dc930b302278a8u, 0x12c015a97019e937u,
    0xcc06c31652ebf438u, 0xecee65630a691e37u, 0x3e84ecb1763e79adu, 0x690ed476743aae49u,
    0x774615d7b1a1f2e1u, 0x22b353f04f4f52dau, 0xe3ddd86ba71a5eb1u, 0xdf268adeb6513356u,
    0x2098eb73d4367d77u, 0x03d6845323ce3c71u, 0xc952c5620043c714u, 0x9b196bca844f1705u,
    0x30260345dd9e0ec1u, 0xcf448a5882bb9698u, 0xf4a578dccbc87656u, 0xbfdeaed9a17b3c8fu,
    0xed79402d1d5c5d7bu, 0x55f070ab1cbbf170u, 0x3e00a34929a88f1du, 0xe255b237b8bb18fbu,
    0x2a7b67af6c6ad50eu, 0x466d5e7f3e46f143u, 0x42375cb399a4fc72u, 0x8c8a1f148a8bb259u,
    0x32fcab5daed5bdfcu, 0x9e60398c8d8553c0u, 0xee89cceb8c4064c0u, 0xdb0215941d86a66fu,
    0x5ccde78203c367a8u, 0xf1bcbc6a1ec11786u, 0xef054fceee954551u, 0xdf82012d0555c6dfu,
    0x292566ff72403c08u, 0xc4dd302a1bfa1137u, 0xd85f219db5c554e1u, 0x6a27ff807441bcd2u,
    0x96a573e9b48216e8u, 0x46a9fdac40bf0048u, 0x3dd12464a0ee15b4u, 0x451e521296a7eea1u,
    0x56e4398a98f8a0fdu, 0x7b7dc2160e3335a7u, 0xc679ee0bebcb1ccau, 0x928d6f2d7453424eu,
    0x1b38994205234c6du, 0x8086d193a6f2b568u, 0x21c6e26639ac2c65u, 0xd9dccac414d23c6fu,
    0x91cd642057e00235u, 0x77fc607dc6589373u, 0x05b8abe26dd3aee7u, 0x12f6436ac376cc66u,
    0x64952424897b2307u, 0xee8c2baf6343e5c3u, 0xdc4c613d9eba2304u, 0x3505b7796bd1a506u,
    0x8176daf800a05f50u, 0x8bd8ff7a0385cdbcu, 0x1a764a3cd78101dau, 0xbe4d15bf6ca266acu,
    0xa85e1f38bb2dc749u, 0x56759a968493cd8cu, 0xf3a9bce7336bd182u, 0x365b15013741519bu,
    0x1f7a44a6b109ac94u, 0x3521d628813cb177u, 0x6a77afab0f7c9370u, 0x179642d8cde95015u,
    0x5ef102a8fb354461u, 0xf51c504764ed82f2u, 0xc58427f041ce6808u, 0xfad8fc45c9643c37u,
    0xcf8682f9a70fa9c0u, 0x7e1b3b75a4005729u, 0x992dd867927b52d8u, 0x7fbd5db142f6791fu,
    0x370595aacab4adaeu, 0xb1392dbdc5ab61d6u, 0x9fea7dfc79d452d9u, 0x40b12b120085641cu,
    0xa192afe3157c85d0u, 0xc847729f4e08f3a3u, 0x6f1384a306c41fc2u, 0x12d05c4045a39c19u,
    0x9899202fd20f0841u, 0xe9c7191857e774b8u, 0x4eead809af5b0cc3u, 0xe809acafa23864a4u,
    0x4da1edaba1d0f7bdu, 0x846eb9673349f8e4u, 0x87bae55b86039fe8u, 0x7f367b8bd953eff2u,
    0x3884700f650d04e1u, 0xbfe4b2ab46980cadu, 0xc5fc89075299106cu, 0x37b2fa361adea7cdu,
    0x7d75d813f04895b4u, 0x702f5b393f62c0e0u, 0x0a3fc775f4ecf37fu, 0xe4b23787a352437fu,
    0xf83fa245c34d6363u, 0xb99bcf040786cf50u, 0x38b6ea0a0e6c9d8au, 0x093fdc76776e37e1u,
    0x1a75e6f76ba7eee8u, 0x442cdcfee9660c62u, 0x22d58d35116b5e0bu, 0x87d4a5180f6a3645u,
    0x589fb216bd82131bu, 0x91d031cad319aec0u, 0xabecf76a553d320bu, 0xb8686cb347612dcfu,
    0xfcab66337c0a77f5u, 0xac318214381ec437u, 0x6eb7f0fca24494aeu, 0xcf42861dcdc895a9u,
    0x4abad7a1586d7a91u, 0xc21b318dc2f49745u, 0xd49474dc2acbd1f0u, 0xb1d4873747c1c8e1u,
    0x5434dc8c7d015bf6u, 0xe1c486287511b6a9u, 0xa8616df62e89a193u, 0x31ce6319498d8347u,
    0xafd0b486123d6faau, 0xe6495f5d102301ebu, 0x0dc51ced17a43c52u, 0x8bcbcde81355ef2du,
    0x2412af73fdee7cfcu, 0xc8d589e486e29eedu, 0x23390e8664517f89u, 0x251ade58e8a6849du,
    0xf8555dbd2e8f9cb0u, 0xcb417c3eef54f7c3u, 0x8028f8e1aac3a919u, 0x10e31052acf748a0u,
    0x2d886c073b1e1b78u, 0x972974d90df9faeeu, 0xbc1b7b38796893bau, 0x1958ed432070e652u,
    0xca5f297197a12dccu, 0xe025a27375704f28u, 0x418010a570a924fbu, 0x9828e2941bfc419cu,
    0x4fbacd2f52b85c1fu, 0x33dd5b756211cc67u, 0x23c8dfdd1db57ff0u, 0x32f81801a1a8e901u,
    0x26884eac5ada36dau, 0xcaa82f9bb42e37d4u, 0x19fb1a7491d6a7d1u, 0x5aa0243aa357f38eu,
    0xb31d917809e447f0u, 0x3f9c197225215be0u, 0xdc3c315a1e33c095u, 0x3dd399ad533e80acu,
    0x566f32cce8301d95u, 0xc880188083d9ba21u, 0xb9cc357f3b0e7d2eu, 0x0237d2123a8a8d6cu,
    0xbf636e9aa7cbf6bdu, 0xd7bd4284c4e2a6a7u, 0xda2ebb47d50577a9u, 0x90ba1c11b539087du,
    0x44993d31552b4f57u, 0x32c2d6f80a8a8898u, 0x450583ed7fb54b19u, 0xec2b0b09e50ef3efu,
    0xd918a0b6e2efd65cu, 0xe37a868d9785f572u, 0x7d1a6118f2b0f37au, 0x9e2e3cc13b343439u,
    0xefd82c11212e37e8u, 0xaf89c05cd4fc75edu, 0x55bc16bb9697108eu, 0x6c4701fa5db69beeu,
    0x9237338441daf445u, 0x248cf0831e81a5fcu, 0xacc13557e77de273u, 0x520970c25e06513au,
    0x657329cb02987cabu, 0xa9b0b3366a4e55a8u, 0xc4d06ca2f39acdd4u, 0x5dce37d68170cde1u,
    0x5f1e44e77e1854c9u, 0x6883d452d55df899u, 0x05c5bd62f1067032u, 0xe680b683ce60fab0u,
    0x5dc9da3f286d18b1u, 0x94b4bf3ab85ed6d8u, 0xce65f449e3acc5a3u, 0x34b0209642cea639u,
    0xc14c3c771d904827u, 0x6addcee2bd9cdee5u, 0xe24eed137ffbb613u, 0x75dd58ef79963d1bu,
    0xfdb83ecf6cc24920u, 0x7a1d0057c57169fbu, 0x339200f4feb62d07u, 0xd33f4d4ac88469f4u,
    0x8226f234e68dfee4u, 0x320def4f2a105536u, 0x7786f3b13aefc159u, 0xb28225ac9df63ee2u,
    0x781b9d0376cc6044u, 0x05bd0115226c6ab6u, 0xd302230207bdfdabu, 0xdb898abd8e0d2933u,
    0x9e79a397ba00b9ccu, 0x89df84a5f0003ee8u, 0x011f04f2a75fb9beu, 0x5a5832bb47bcf19eu,
};
/* clang-format on */

static uint64_t warm_up(const unsigned char *data, size_t at, size_t end)
{
    uint64_t h = 0;

    for (; at < end; at++)
        h = (h << 1) + gear[data[at]];
    return h;
}

/* The first place from at to end where the hash has none of mask's bits; 0 when there is none. */
static size_t scan(const unsigned char *data, size_t at, size_t end, uint64_t mask, uint64_t *hash)
{
    uint64_t h = *hash;

    for (; at < end; at++) {
        h = (h << 1) + gear[data[at]];
        if (!(h & mask)) {
            *hash = h;
            return at + 1;
        }
    }
    *hash = h;
    return 0;
}

size_t cdc_cut(const unsigned char *data, size_t len, bool last)
{
    size_t end = len < CDC_MAX ? len : CDC_MAX;
    size_t middle = end < CDC_NORMAL ? end : CDC_NORMAL;
    uint64_t hash;
    size_t cut;

    if (len < CDC_MAX && !last)
        return 0;
    if (end <= CDC_MIN)
        return end;
    hash = warm_up(data, CDC_MIN - WARM_UP, CDC_MIN);
    cut = scan(data, CDC_MIN, middle, MASK_BEFORE, &hash);
    if (cut == 0)
        cut = scan(data, middle, end, MASK_AFTER, &hash);
    return cut ? cut : end;
}

bool cdc_ends_at(const unsigned char *data, size_t len)
{
    const uint64_t mask = len > CDC_NORMAL ? MASK_AFTER : MASK_BEFORE;

    if (len <= CDC_MIN || len >= CDC_MAX)
        return len == CDC_MAX;
    return !(warm_up(data, len - WARM_UP, len) & mask); /* what came before is shifted out */
}
